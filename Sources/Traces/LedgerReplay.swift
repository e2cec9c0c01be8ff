package import Postgres
internal import Simulator
internal import Synchronization

/// Replays pages of a ledger on several threads, each with a connection of its own, in constant memory.
///
/// All connections read one snapshot, so that the result is that of one moment; it is the same to the byte whatever
/// the number of threads, as that of `ParallelReplay`, which adds the pages up and keeps the order for budgets.
package final class LedgerReplay: Sendable {
    private let query: LedgerQuery
    private let pages: [LedgerQuery.Page]
    private let replay: ParallelReplay
    private let next = Mutex(0)

    package init(_ query: LedgerQuery, _ pages: [LedgerQuery.Page], _ replay: ParallelReplay) {
        self.query = query
        self.pages = pages
        self.replay = replay
    }

    /// Replays pages until there are none. Each thread calls it once.
    ///
    /// - Parameter database: reads the snapshot that the pages were cut in. *Its loop's thread.*
    package func work(_ database: any PostgresDatabase) async throws {
        var simulation = try replay.begin()
        while !replay.hasFailed, let index = takeNext() {
            let requests = try await query.requests(pages[index], on: database, isPart: replay.isSharded) { request in
                replay.isInShard(request, simulation)
            }
            try replay.add(requests, block: index, to: &simulation)
        }
        try replay.end(simulation)
    }

    private func takeNext() -> Int? {
        next.withLock { next in
            guard next < pages.count else { return nil }
            defer { next += 1 }
            return next
        }
    }
}
