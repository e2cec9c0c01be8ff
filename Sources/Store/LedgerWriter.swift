package import Accounting
package import Reactor
internal import Synchronization

/// Writes the ledger: collects records from every loop and commits them in groups over a few connections.
///
/// A record is acknowledged when its rows are durable. A batch whose fate is unknown is sent again until the database
/// answers, which is harmless: the statement does nothing for requests that are there already. Nothing is dropped;
/// when the database is slow the queue grows, `isFull` becomes true, and admission has to stop. With a spool, records
/// go to its disk while the database is away, and from there to the database.
package final class LedgerWriter: Sendable {
    private let inbox: LedgerInbox
    private let core: LedgerCore
    private let thread: LoopThread

    /// Starts the writer's thread, which connects at once and again whenever the connection breaks.
    package static func start(_ configuration: LedgerConfiguration) throws(SystemError) -> LedgerWriter {
        precondition(configuration.batchLimit > 0, "a batch has a record")
        precondition(configuration.connections > 0, "a writer has a connection")
        let inbox = LedgerInbox()
        let thread = try LoopThread.start(name: "ledger") { _ in nil }
        let core = LedgerCore(configuration, inbox, on: thread.loop)
        thread.loop.post { core.connect() }
        return LedgerWriter(inbox, core, thread, configuration)
    }

    private let queueLimit: Int

    private init(_ inbox: LedgerInbox, _ core: LedgerCore, _ thread: LoopThread, _ configuration: LedgerConfiguration) {
        self.inbox = inbox
        self.core = core
        self.thread = thread
        queueLimit = configuration.queueLimit
    }

    /// The writer's loop; other parts that talk to the database may live on it.
    package var loop: EventLoop { thread.loop }

    /// Whether the queue is over its limit. Admission must stop then; `append` still takes the records of requests that
    /// were admitted before, so the queue's real bound is the limit and what is in flight.
    package var isFull: Bool { inbox.queuedBytes.load(ordering: .relaxed) >= queueLimit }

    /// The counters now.
    package var statistics: LedgerStatistics { inbox.snapshot() }

    /// Takes a record, from any thread. `acknowledged` is called on `target`, once; all of a batch in one message.
    /// `settled` is called once on the ledger's loop when the record's charges are in the database, and must be quick:
    /// before `acknowledged`, or after it when the record was spooled; never when the writer is stopped first.
    package func append(
        _ record: RequestRecord, on target: EventLoop, settled: (@Sendable () -> Void)? = nil,
        _ acknowledged: @escaping @Sendable (LedgerReceipt) -> Void
    ) {
        append(LedgerEntry(record, target, settled: settled, acknowledged))
    }

    /// The same; `acknowledged` is called on the ledger's loop and must be quick.
    package func append(_ record: RequestRecord, _ acknowledged: @escaping @Sendable (LedgerResult) -> Void) {
        append(LedgerEntry(record, nil) { acknowledged($0.result) })
    }

    private func append(_ entry: LedgerEntry) {
        switch inbox.add(entry) {
        case .added: return
        case .first: thread.loop.post { [core] in core.gather() }
        case .stopped: acknowledge([entry], .stopped)
        }
    }

    /// Calls `completion` on the ledger's loop with true as soon as no record is left without an acknowledgement, or
    /// with false after `limit`.
    package func flush(within limit: Duration, _ completion: @escaping @Sendable (Bool) -> Void) {
        thread.loop.post { [core] in core.flush(within: limit, completion) }
    }

    /// The same for callers that can wait.
    package func flush(within limit: Duration) async -> Bool {
        await withCheckedContinuation { continuation in
            flush(within: limit) { continuation.resume(returning: $0) }
        }
    }

    /// Ends the thread and waits for it; records without an acknowledgement get `stopped`. Not to be called on the
    /// ledger's loop. Calling it twice is harmless.
    package func stop() {
        precondition(!thread.loop.isInLoop, "a thread cannot wait for its own end")
        guard inbox.close() else { return }
        thread.loop.post { [core] in core.stop() }
        thread.join()
    }
}

/// What the loops and the ledger's thread share.
final class LedgerInbox: Sendable {
    enum Addition {
        case added
        /// The ledger's thread does not know yet that there is something.
        case first
        case stopped
    }

    private struct State {
        var entries: [LedgerEntry] = []
        var isKnown = false
        var isClosed = false
        var statistics = LedgerStatistics()
        var queuedRecords = 0
    }

    private let state = Mutex(State())
    let queuedBytes = Atomic<Int>(0)

    func add(_ entry: LedgerEntry) -> Addition {
        state.withLock { state in
            if state.isClosed { return .stopped }
            state.entries.append(entry)
            state.queuedRecords += 1
            queuedBytes.wrappingAdd(entry.bytes, ordering: .relaxed)
            defer { state.isKnown = true }
            return state.isKnown ? .added : .first
        }
    }

    func takeAll() -> [LedgerEntry] {
        state.withLock { state in
            defer {
                state.entries = []
                state.isKnown = false
            }
            return state.entries
        }
    }

    var isEmpty: Bool { state.withLock { $0.entries.isEmpty } }

    /// The entries have got, or are about to get, their acknowledgement. Those from the spool were never in the inbox.
    func settle(_ all: [LedgerEntry]) {
        let entries = all.filter { !$0.isSpooled }
        queuedBytes.wrappingSubtract(entries.reduce(0) { $0 + $1.bytes }, ordering: .relaxed)
        state.withLock { $0.queuedRecords -= entries.count }
    }

    /// False when it was closed before.
    func close() -> Bool {
        state.withLock { state in
            defer { state.isClosed = true }
            return !state.isClosed
        }
    }

    func count(_ change: (inout LedgerStatistics) -> Void) {
        state.withLock { change(&$0.statistics) }
    }

    func snapshot() -> LedgerStatistics {
        var statistics = state.withLock { state in
            var statistics = state.statistics
            statistics.queuedRecords = state.queuedRecords
            return statistics
        }
        statistics.queuedBytes = queuedBytes.load(ordering: .relaxed)
        return statistics
    }
}
