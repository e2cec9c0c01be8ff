internal import Arguments
internal import Configuration
internal import Foundation
internal import Notation
internal import Reactor
internal import Scenarios
internal import Simulator
internal import Synchronization
internal import Traces

/// Simulations of recorded requests: the whole, or a shard of them.
enum SimulateTraces {
    static func run(_ question: SimulateQuestion, _ arguments: ParsedArguments) throws(CommandExit) {
        let shard = try shard(arguments)
        if arguments.flag("primary"), question.source != .ledger {
            throw .badUsage("--primary: belongs to --ledger")
        }
        guard let partial = arguments.text("partial") else {
            for option in ["shard", "resume"] where option == "shard" ? shard != nil : arguments.flag("resume") {
                throw .badUsage("--\(option): needs --partial, the file for the result")
            }
            let simulation = try simulation(question, shard: nil, arguments, keeping: nil)
            var report = report(simulation, question)
            if let warning = try SimulateLedger.warning(question, arguments) { report.warnings.append(warning) }
            return try SimulateText.write(report, question, arguments)
        }
        if arguments.text("output") != nil {
            throw .badUsage("--output: a partial result has no report; `relaygate simulate merge` makes it")
        }
        for option in ["rerun-list", "budget-list"] where arguments.flag("resume") && arguments.text(option) != nil {
            throw .badUsage("--\(option): would lack what was replayed before; leave --resume out")
        }
        let head = head(question, shard)
        let result = try simulation(question, shard: shard, arguments) {
            (simulation, position, after) throws(CommandExit) in
            var state = SimulatePartial(head: head, body: simulation.encode())
            state.head.position = position
            state.head.after = after
            try state.write(to: partial)
        }
        try SimulatePartial(head: head, body: result.encode()).write(to: partial)
        // The report is made by `merge`, which has no database.
        if let warning = try SimulateLedger.warning(question, arguments) { Terminal.note(warning) }
    }

    /// The report, which says first where the data come from.
    static func report(_ simulation: TraceSimulation, _ question: SimulateQuestion) -> Report {
        var report = simulation.report()
        var source = "the ledger"
        if case .traces(let paths) = question.source { source = paths.sorted().joined(separator: ", ") }
        report.coverage.insert(("source", source), at: 0)
        report.definitions += question.scenario.meanings
        return report
    }

    static func head(_ question: SimulateQuestion, _ shard: ParallelReplay.Shard?) -> SimulatePartial.Head {
        var traces: [String] = []
        if case .traces(let paths) = question.source { traces = paths.sorted() }
        return SimulatePartial.Head(
            words: question.words, scenario: question.fileText, traces: traces,
            namesTraces: question.words.contains("--traces"), shard: (shard?.index ?? 0) + 1,
            shards: shard?.count ?? 1)
    }

    private static func shard(_ arguments: ParsedArguments) throws(CommandExit) -> ParallelReplay.Shard? {
        guard let text = arguments.text("shard") else { return nil }
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map { Int($0) }
        guard parts.count == 2, let index = parts[0], let count = parts[1],
            (1...SimulatePartial.shardLimit).contains(count),
            (1...count).contains(index)
        else { throw .badUsage("--shard: must be I/N with I from 1 to N, such as 3/16, not \(text.json)") }
        return ParallelReplay.Shard(index: index - 1, count: count)
    }

    /// Keeps a state that can be gone on from.
    typealias Keeping = @Sendable (TraceSimulation, TraceFeed.Position?, String?) throws(CommandExit) -> Void

    private static func simulation(
        _ question: SimulateQuestion, shard: ParallelReplay.Shard?, _ arguments: ParsedArguments, keeping: Keeping?
    ) throws(CommandExit) -> TraceSimulation {
        var simulation = try SimulateText.saying(question.fileName) { () throws(SimulationError) in
            try TraceSimulation(question.scenario)
        }
        var found: SimulatePartial.Head?
        if arguments.flag("resume"), let path = arguments.text("partial"), FileManager.default.fileExists(atPath: path)
        {
            let partial = try SimulatePartial.read(path)
            let wanted = head(question, shard)
            guard partial.head.isSameQuestion(as: wanted), partial.head.traces == wanted.traces,
                partial.head.shard == wanted.shard
            else {
                throw .failure("--resume: \(path) belongs to another question or shard; choose another file")
            }
            simulation = try SimulateText.saying(path) { () throws(SimulationError) in
                try TraceSimulation.decode(partial.body, scenario: question.scenario)
            }
            if partial.head.isWhole { return simulation }
            found = partial.head
        }
        let lists = try SimulateLists(arguments, question.scenario)
        switch question.source {
        case .traces(let paths):
            let feed = try TraceFeed(paths)
            if let position = found?.position { feed.seek(position) }
            let isCut = keeping != nil && feed.isSeekable
            let piece = isCut ? max(1, arguments.bytes("save-every") ?? Int.max) : Int.max
            try replay(feed, &simulation, shard, arguments.integer("threads"), lists, piece, keeping)
        default:
            try SimulateLedger.replay(
                &simulation, question, shard, after: found?.after, arguments, lists, keeping)
        }
        try lists.finish()
        return simulation
    }

    private static func replay(
        _ feed: TraceFeed, _ simulation: inout TraceSimulation, _ shard: ParallelReplay.Shard?, _ threads: Int?,
        _ lists: SimulateLists, _ size: Int, _ keeping: Keeping?
    ) throws(CommandExit) {
        let bar = Mutex(ProgressBar())
        let done = Mutex((bytes: 0, requests: 0))
        while !feed.isAtEnd {
            let start = feed.position
            let before = done.withLock { $0 }
            feed.begin(bytes: size)
            do {
                let replay = try ParallelReplay(
                    simulation, shard: shard, next: { try feed.next() }, onRerun: lists.onRerun,
                    onBudget: lists.onBudget,
                    onProgress: { progress in
                        let sum = (bytes: before.bytes + progress.bytes, requests: before.requests + progress.requests)
                        done.withLock { $0 = sum }
                        bar.withLock { bar in
                            guard bar?.isDue() == true else { return }
                            bar?.show(
                                share: Double(sum.bytes) / Double(max(1, feed.totalBytes)), requests: sum.requests)
                        }
                    })
                work(replay, threads ?? GatewayConfiguration.onlineProcessors)
                simulation = try replay.result()
            } catch {
                throw explained(error, feed, start)
            }
            if !feed.isAtEnd, size != Int.max { try keeping?(simulation, feed.position, nil) }
        }
        bar.withLock { bar in bar?.finish(requests: done.withLock { $0.requests }) }
    }

    private static func work(_ replay: ParallelReplay, _ threads: Int) {
        let finished = Semaphore()
        for _ in 0..<threads {
            let thread = Thread {
                replay.work()
                finished.signal()
            }
            thread.stackSize = 8 << 20
            thread.start()
        }
        for _ in 0..<threads { finished.wait() }
    }

    /// A file of which not even the first line can be read is likely to be another kind of file.
    private static func failure(_ text: String, _ fault: TraceFault, line: Int?) -> CommandExit {
        let hint = "; trace files are JSON Lines, or tables named .csv; a pair table is given with --pairs"
        return .failure(PlainText.lines(line == 1 && fault.rule.hasPrefix("is no JSON") ? text + hint : text))
    }

    private static func explained(_ error: any Error, _ feed: TraceFeed, _ start: TraceFeed.Position) -> CommandExit {
        switch error {
        case let exit as CommandExit: return exit
        case let error as SimulationError: return SimulateText.failure(error, nil)
        case let fault as TraceFault:
            guard let line = fault.line, let place = feed.locate(line: line, from: start) else {
                return failure(feed.isSeekable ? "\(fault)" : "standard input: \(fault)", fault, line: fault.line)
            }
            var bare = fault
            bare.line = nil
            return failure("\(place.path): line \(place.line): \(bare)", fault, line: place.line)
        default: return .failure("\(error)")
        }
    }
}
