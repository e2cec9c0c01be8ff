internal import Arguments
internal import Configuration
internal import Scenarios
internal import Simulator

/// `relaygate simulate merge`: the report of partial results.
enum SimulateMerge {
    static let command = Arguments.Command(
        "merge", "make the report of partial results",
        discussion: """
            Takes the files that `relaygate simulate … --shard I/N --partial FILE` wrote, in any order, and prints the \
            report that the same command without --shard prints, byte for byte.
            """,
        options: SimulateCommand.output,
        positionals: [Positional("partial", repeats: true, "the partial results")])

    static func run(_ arguments: ParsedArguments) throws(CommandExit) {
        var parts: [(path: String, head: SimulatePartial.Head)] = []
        for path in arguments.positionals("partial") { parts.append((path, try SimulatePartial.read(path).head)) }
        try FileIdentity.separate(arguments.positionals("partial"), arguments)
        let question = try question(parts)
        var whole = try SimulateText.saying(nil) { () throws(SimulationError) in
            try TraceSimulation(question.scenario)
        }
        for (path, _) in parts {
            // Read once more: not all of them are held at a time.
            let body = try SimulatePartial.read(path).body
            try SimulateText.saying(path) { () throws(SimulationError) in
                try whole.merge(try TraceSimulation.decode(body, scenario: question.scenario))
            }
        }
        try SimulateText.write(SimulateTraces.report(whole, question), question, arguments)
    }

    /// The question that all parts belong to, after checking that they are all there, each once.
    private static func question(
        _ parts: [(path: String, head: SimulatePartial.Head)]
    ) throws(CommandExit) -> SimulateQuestion {
        guard let first = parts.first else { throw .badUsage("<partial> is required") }
        var seen: [String: String] = [:]
        for (path, head) in parts {
            guard head.isWhole else {
                throw .failure("\(path): is not finished; run the same command again with --resume")
            }
            guard head.isSameQuestion(as: first.head) else {
                throw .failure("\(path): belongs to another question than \(first.path); merge parts of one only")
            }
            // Without shards, parts are told apart by their files.
            let places = head.shards == 1 && !head.traces.isEmpty ? head.traces : ["shard \(head.shard)/\(head.shards)"]
            for place in places {
                if let other = seen.updateValue(path, forKey: place) {
                    throw .failure("\(path): \(place) is in \(other) already, and would count twice")
                }
            }
            guard head.shards == 1 || head.traces == first.head.traces else {
                throw .failure("\(path): was made from other trace files than \(first.path)")
            }
        }
        let missing = (1...max(1, first.head.shards)).filter { index in
            !parts.contains { $0.head.shard == index }
        }
        guard missing.isEmpty else {
            let names = missing.prefix(8).map { "\($0)/\(first.head.shards)" }.joined(separator: ", ")
            throw .failure("missing: shard \(names)\(missing.count > 8 ? ", …" : ""); give the partial results of all")
        }
        let traces = first.head.shards == 1 ? parts.flatMap(\.head.traces) : first.head.traces
        return try question(first.head, traces.sorted())
    }

    /// Asks the question again, as it was asked.
    private static func question(
        _ head: SimulatePartial.Head, _ traces: [String]
    ) throws(CommandExit) -> SimulateQuestion {
        var words = head.words.filter { $0 != "--traces" }
        if head.namesTraces { for path in traces { words += ["--traces", path] } }
        var question = try SimulateQuestion(
            try RelayGate.root.parse(["simulate"] + words), scenarioText: head.scenario)
        if !traces.isEmpty { question.source = .traces(traces) }
        return question
    }
}
