internal import Accounting
internal import Arguments
internal import Configuration
internal import Foundation
internal import Reactor
internal import Simulator
internal import Store
internal import Synchronization
internal import Traces

/// A simulation of the ledger, read by several connections in one snapshot. It says the same as one of an export.
enum SimulateLedger {
    /// Requests between two states that an interrupted run can go on from.
    private static let piece = 100_000
    /// Requests whose pages are known at a time: so many that beginning again costs nothing.
    private static let stretch = 1_000_000

    static func replay(
        _ simulation: inout TraceSimulation, _ question: SimulateQuestion, _ shard: ParallelReplay.Shard?,
        after: String?, _ arguments: ParsedArguments, _ lists: SimulateLists, _ keeping: SimulateTraces.Keeping?
    ) throws(CommandExit) {
        let source = try LedgerSource(arguments)
        let threads = arguments.integer("threads") ?? GatewayConfiguration.onlineProcessors
        let limit = keeping == nil ? stretch : piece
        let begun = simulation
        simulation = try Database.use(source, answerTimeout: nil) { database in
            var simulation = begun
            let snapshot = try await LedgerSnapshot.export(database)
            var after = after.flatMap { UUID7($0) }
            let query = try await LedgerQuery(
                simulation.scenario.selection, tags: simulation.tags, after: after, on: database)
            let bar = Mutex(try await LedgerProgress.start(TraceReader(database), filter(question, after)))
            while true {
                let (pages, count) = try await query.pages(after: after, limit: limit, on: database)
                guard let last = pages.last?.last else { break }
                let ends = pages.map(\.last)
                let done = Mutex((pages: 0, requests: 0))
                let parts = try ParallelReplay(
                    simulation, shard: shard, next: { nil }, onRerun: lists.onRerun,
                    onBudget: lists.onBudget,
                    onProgress: { progress in
                        let before = done.withLock { done in
                            defer { done = (done.pages + 1, progress.requests) }
                            return done
                        }
                        bar.withLock { $0?.advance(ends[before.pages], by: progress.requests - before.requests) }
                    })
                let work = LedgerReplay(query, pages, parts)
                run(work, parts, source, snapshot, min(threads, pages.count))
                do { simulation = try parts.result() } catch let fault as TraceFault {
                    throw CommandExit.failure("the ledger: \(fault)")
                } catch let error as SimulationError {
                    throw SimulateText.failure(error, nil)
                }
                guard count == limit else { break }
                after = last
                try keeping?(simulation, nil, last.description)
            }
            bar.withLock { $0?.finish() }
            return simulation
        }
    }

    private static func run(
        _ work: LedgerReplay, _ parts: ParallelReplay, _ source: LedgerSource, _ snapshot: LedgerSnapshot,
        _ threads: Int
    ) {
        let finished = Semaphore()
        for _ in 0..<threads {
            let thread = Thread {
                do throws(CommandExit) {
                    try Database.use(source, answerTimeout: nil) { database in
                        try await snapshot.join(database)
                        // What is wrong with a request is no trouble of the database.
                        do { try await work.work(database) } catch let fault as TraceFault { parts.fail(fault) }
                    }
                } catch {
                    parts.fail(error)
                }
                finished.signal()
            }
            thread.stackSize = 8 << 20
            thread.start()
        }
        for _ in 0..<threads { finished.wait() }
    }

    /// What a simulation of the ledger lacks, asked when it is done; nil when nothing, or when it is of something else.
    static func warning(_ question: SimulateQuestion, _ arguments: ParsedArguments) throws(CommandExit) -> String? {
        guard question.source == .ledger else { return nil }
        let selection = question.scenario.selection
        return try Database.use(LedgerSource(arguments)) { database in
            try await PrunedMonths.between(selection.from, selection.to, on: database).warning
        }
    }

    /// The requests whose first and last moment progress is measured between.
    private static func filter(_ question: SimulateQuestion, _ after: UUID7?) -> TraceFilter {
        let selection = question.scenario.selection
        var filter = TraceFilter(since: selection.from, until: selection.to)
        filter.after = after
        return filter
    }
}

typealias LedgerProgress = ExportProgress
