package import Simulator
internal import Synchronization

/// Replays files of traces on several threads, in constant memory.
///
/// A file is read in blocks that end at line borders. Each thread takes the next block and has a simulation of its own;
/// they are merged at the end. All that they keep are sums of whole numbers, so the result is the same to the byte
/// whatever the number of threads. Policies of budgets follow one thread, block after block in the order of the file.
package final class ParallelReplay: Sendable {
    /// Bytes of a block: large enough that taking one costs nothing, small enough that all threads stay busy.
    package static let block = 4 << 20

    /// Which part of the requests is replayed.
    package struct Shard: Sendable, Equatable {
        /// From 0.
        package var index: Int
        package var count: Int

        package init(index: Int, count: Int) {
            self.index = index
            self.count = count
        }
    }

    /// How far a replay is.
    package struct Progress: Sendable {
        package var bytes: Int
        package var requests: Int
    }

    /// A block of lines, with its place among all blocks and the number of its first line.
    private struct Block {
        var index: Int
        var firstLine: Int
        var bytes: [UInt8]
    }

    private struct Source {
        var next: () throws -> [UInt8]?
        var rest: [UInt8] = []
        var isAtEnd = false
        var blocks = 0
        var lines = 0
        var failure: (any Error)?
    }

    /// What has to be told in the order of the file.
    private struct Tail {
        var next = 0
        var waiting: [Int: Output] = [:]
        var simulation: TraceSimulation
        var progress = Progress(bytes: 0, requests: 0)
    }

    private struct Output: Sendable {
        var bytes: Int
        var requests: Int
        /// For policies that depend on the order; empty where none does.
        var ordered: [LoggedRequest] = []
        /// Requests to run again, with the policies that need it.
        var rerun: [(LoggedRequest, UInt64)] = []
        var masks: [UInt64] = []
    }

    private let scenario: Scenario
    private let shard: Shard?
    private let source: Mutex<Source>
    private let tail: Mutex<Tail>
    private let whole: Mutex<TraceSimulation>
    private let wantsRerun: Bool
    private let onRerun: @Sendable (LoggedRequest, UInt64) throws -> Void
    private let onBudget: @Sendable (LoggedRequest, UInt64, BudgetAnswer) throws -> Void
    private let onProgress: @Sendable (Progress) -> Void

    /// - Parameters:
    ///   - simulation: what the result is added to: empty, or of the lines before these.
    ///   - next: gives the next bytes of the traces, of any size, nil at their end. Called by one thread at a time.
    ///   - onRerun: told, in the order of the file, of each request that would have to be run again and the policies
    ///     that need it, by their places in the scenario. Nil when nobody wants to know.
    ///   - onBudget: told likewise of each request that budgets refuse or degrade, and of the policies that do.
    ///   - onProgress: told after each block, by one thread at a time.
    package init(
        _ simulation: TraceSimulation, shard: Shard? = nil, next: @escaping @Sendable () throws -> [UInt8]?,
        onRerun: (@Sendable (LoggedRequest, UInt64) throws -> Void)? = nil,
        onBudget: (@Sendable (LoggedRequest, UInt64, BudgetAnswer) throws -> Void)? = nil,
        onProgress: @escaping @Sendable (Progress) -> Void = { _ in }
    ) throws(SimulationError) {
        scenario = simulation.scenario
        self.shard = shard
        source = Mutex(Source(next: next))
        // What depends on the order goes on from the state that was given.
        tail = Mutex(Tail(simulation: simulation))
        whole = Mutex(try TraceSimulation(simulation.scenario))
        wantsRerun = onRerun != nil
        self.onRerun = onRerun ?? { _, _ in }
        self.onBudget = onBudget ?? { _, _, _ in }
        self.onProgress = onProgress
    }

    /// The result, once every thread's `work` has returned.
    ///
    /// - Throws: what the first thread failed by: `TraceFault`, `SimulationError` or the source's error.
    package func result() throws -> TraceSimulation {
        if let failure = source.withLock({ $0.failure }) { throw failure }
        var result = whole.withLock { $0 }
        try result.merge(tail.withLock { $0.simulation })
        return result
    }

    /// Replays blocks until there are none. Each thread calls it once, or `begin` and what belongs to it.
    package func work() {
        do {
            var simulation = try TraceSimulation(scenario)
            var reader = ReplayLine(tags: simulation.tags)
            while let block = try nextBlock() {
                let output = try replay(block, &simulation, &reader)
                try tell(output, block.index)
            }
            try end(simulation)
        } catch {
            fail(error)
        }
    }

    // MARK: Blocks that others read

    /// What a thread adds its requests to; for blocks of requests that are read elsewhere, such as pages of a ledger.
    package func begin() throws(SimulationError) -> TraceSimulation { try TraceSimulation(scenario) }

    var isSharded: Bool { shard.map { $0.count > 1 } ?? false }

    /// Whether the request is of the part that is replayed, which its id and tenant say; others need not be read.
    func isInShard(_ request: LoggedRequest, _ simulation: TraceSimulation) -> Bool {
        guard let shard else { return true }
        return simulation.isInShard(request, shard.index, of: shard.count)
    }

    /// Replays a block of requests, all of which come behind those of the block before it.
    ///
    /// - Parameter index: its place among all blocks, from 0; none may be missing.
    package func add(_ requests: [LoggedRequest], block index: Int, to simulation: inout TraceSimulation) throws {
        var output = Output(bytes: 0, requests: 0)
        for request in requests { try take(request, &simulation, &output) }
        try tell(output, index)
    }

    /// A thread's part is complete.
    package func end(_ simulation: TraceSimulation) throws(SimulationError) {
        try whole.withLock { (whole) throws(SimulationError) in try whole.merge(simulation) }
    }

    /// The first failure is the one that is told; the other threads end at their next block.
    package func fail(_ error: any Error) {
        source.withLock { source in
            if source.failure == nil { source.failure = error }
            source.isAtEnd = true
            source.rest = []
        }
    }

    package var hasFailed: Bool { source.withLock { $0.failure != nil } }

    private func nextBlock() throws -> Block? {
        try source.withLock { source in
            guard !source.isAtEnd else { return nil }
            var bytes = source.rest
            source.rest = []
            while true {
                guard bytes.count < ParallelReplay.block else { break }
                guard let more = try source.next() else {
                    source.isAtEnd = true
                    break
                }
                bytes += more
            }
            if !source.isAtEnd {
                while bytes.lastIndex(of: 0x0A) == nil, let more = try source.next() {
                    bytes += more
                    guard bytes.count <= LineReader.limit else {
                        throw TraceFault(nil, "is longer than \(LineReader.limit) bytes", line: source.lines + 1)
                    }
                }
                if let end = bytes.lastIndex(of: 0x0A) {
                    source.rest = Array(bytes[(end + 1)...])
                    bytes.removeSubrange((end + 1)...)
                }
            }
            guard !bytes.isEmpty else { return nil }
            let block = Block(index: source.blocks, firstLine: source.lines + 1, bytes: bytes)
            source.blocks += 1
            source.lines += bytes.count { $0 == 0x0A }
            return block
        }
    }

    private func replay(
        _ block: Block, _ simulation: inout TraceSimulation, _ reader: inout ReplayLine
    ) throws -> Output {
        var output = Output(bytes: block.bytes.count, requests: 0)
        var line = block.firstLine
        var start = 0
        let bytes = block.bytes.span
        while start < bytes.count {
            var end = start
            while end < bytes.count, bytes[end] != 0x0A { end += 1 }
            if end > start {
                do throws(TraceFault) {
                    let request = try reader.read(bytes.extracting(start..<end))
                    try take(request, &simulation, &output)
                } catch {
                    var fault = error
                    fault.line = line
                    throw fault
                }
            }
            start = end + 1
            line += 1
        }
        return output
    }

    private func take(
        _ request: LoggedRequest, _ simulation: inout TraceSimulation, _ output: inout Output
    ) throws(TraceFault) {
        guard isInShard(request, simulation) else { return }
        output.requests += 1
        do throws(SimulationError) {
            let mask = try simulation.addUnordered(request)
            if simulation.isOrdered {
                output.ordered.append(request)
                output.masks.append(mask)
            } else if wantsRerun, mask != 0 {
                output.rerun.append((request, mask))
            }
        } catch {
            throw TraceFault(error.field, error.message)
        }
    }

    /// Takes what has to be told in order, as far as the blocks before it are there.
    private func tell(_ output: Output, _ index: Int) throws {
        try tail.withLock { tail in
            tail.waiting[index] = output
            while let next = tail.waiting.removeValue(forKey: tail.next) {
                tail.next += 1
                for (request, mask) in zip(next.ordered, next.masks) {
                    var answers: [(UInt64, BudgetAnswer)] = []
                    let all = mask | (try tail.simulation.addOrdered(request) { answers.append(($0, $1)) })
                    for (policies, answer) in answers { try onBudget(request, policies, answer) }
                    if wantsRerun, all != 0 { try onRerun(request, all) }
                }
                for (request, mask) in next.rerun { try onRerun(request, mask) }
                tail.progress.bytes += next.bytes
                tail.progress.requests += next.requests
                onProgress(tail.progress)
            }
        }
    }
}
