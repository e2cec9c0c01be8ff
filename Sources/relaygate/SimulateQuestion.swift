internal import Accounting
internal import Arguments
internal import Configuration
internal import Scenarios
internal import Simulator

/// What `relaygate simulate` is asked: from a scenario file, or from options.
struct SimulateQuestion {
    enum Source: Equatable {
        case paper
        case pairs(String, columns: String?)
        case rows(String)
        case traces([String])
        case ledger

        /// What there is no question to ask of; nil for all that hold requests.
        var answersNothing: String? {
            switch self {
            case .paper: "the paper's tables"
            case .rows: "published rows"
            case .pairs, .traces, .ledger: nil
            }
        }
    }

    var scenario: Scenario
    var source: Source
    /// Nil when nobody gave one.
    var title: String?
    /// The scenario file, nil for options.
    var fileName: String?
    var fileText: String?
    /// The files that are read for it.
    var files: [String] {
        let sources: [String] =
            switch source {
            case .traces(let paths): paths
            case .pairs(let path, _), .rows(let path): [path]
            case .paper, .ledger: []
            }
        return sources + [fileName].compactMap { $0 }
    }

    /// The command line without what does not change the report: output, work, and names of trace files.
    var words: [String]

    /// - Parameter scenarioText: the scenario file's text when it was read before, as a partial result keeps it.
    init(_ arguments: ParsedArguments, scenarioText: String? = nil) throws(CommandExit) {
        guard let path = arguments.positional("scenario") else {
            self = try SimulateQuestion(options: arguments)
            return
        }
        do throws(ConfigurationError) {
            if let text = scenarioText {
                try self.init(try ScenarioFile.parse(text: text, fileName: path), path: path, text: text, arguments)
            } else {
                let (file, text) = try ScenarioFile.load(path: path)
                try self.init(file, path: path, text: text, arguments)
            }
        } catch {
            throw .failure(error.description)
        }
    }

    /// The command that makes the same report again.
    var command: String {
        var all = words
        if case .traces(let paths) = source, fileText == nil || words.contains("--traces") {
            all.removeAll { $0 == "--traces" }
            for path in paths.sorted() { all += ["--traces", path] }
        }
        return (["relaygate", "simulate"] + all.map(SimulateQuestion.quoted)).joined(separator: " ")
    }

    // MARK: - A file

    /// Options that go with a scenario file.
    private static let beside: Set = [
        "paper", "pairs", "columns", "rows", "traces", "ledger", "seed", "format", "output", "rerun-list",
        "budget-list", "threads",
        "shard", "partial", "save-every", "resume", "primary", "config",
    ]

    private init(
        _ file: ScenarioFile, path: String, text: String, _ arguments: ParsedArguments
    ) throws(ConfigurationError) {
        scenario = file.scenario
        if let seed = arguments.integer("seed") { scenario.seed = UInt64(clamping: seed) }
        title = file.scenario.title
        (fileName, fileText) = (path, text)
        words = [path] + SimulateQuestion.words(arguments, scenario.selection)
        let problems = ProblemList(fileName: path)
        for option in arguments.command.options where !SimulateQuestion.beside.contains(option.name) {
            guard SimulateQuestion.isGiven(option, arguments) else { continue }
            problems.add(
                .duplicate, at: Position(line: 0, column: 0), path: "--\(option.name)",
                "is a part of the question, which is the file's: write it there")
        }
        switch (file.source, SimulateQuestion.source(arguments)) {
        case (_, let given?): source = given
        case (.traces(let paths), nil): source = .traces(paths)
        case (.pairs(let path, let columns), nil): source = .pairs(path, columns: columns)
        case (.rows(let path), nil): source = .rows(path)
        case (.ledger, nil): source = .ledger
        case (.paper, nil): source = .paper
        case (nil, nil):
            source = .paper
            problems.add(
                .missing, at: .start, path: "source",
                "is missing: write it, or give --traces, --pairs or --ledger beside the file")
        }
        if let name = source.answersNothing, problems.problems.isEmpty {
            for key in file.questions {
                problems.add(
                    .danglingReference, at: key.position, path: key.name,
                    "has nothing to act on: \(name) hold no requests; leave it out, or take traces, ledger or pairs as the "
                        + "source")
            }
        }
        if !problems.problems.isEmpty { throw ConfigurationError(problems.problems) }
        complete()
    }

    // MARK: - Options

    private init(options arguments: ParsedArguments) throws(CommandExit) {
        guard let source = SimulateQuestion.source(arguments) else {
            throw .badUsage(
                "nothing to simulate: give a scenario file, or one of --paper, --pairs, --rows, --traces and --ledger")
        }
        let given = ["paper", "pairs", "rows", "traces", "ledger"].filter { name in
            arguments.command.options.contains { $0.name == name && SimulateQuestion.isGiven($0, arguments) }
        }
        guard given.count == 1 else {
            throw .badUsage("\(given.map { "--" + $0 }.joined(separator: " and ")): give one source")
        }
        self.source = source
        scenario = Scenario(title: "Policies on recorded requests")
        scenario.selection = try SimulateOptions.selection(arguments)
        words = SimulateQuestion.words(arguments, scenario.selection)
        scenario.policies = try SimulateOptions.policies(arguments)
        scenario.costModels = try SimulateOptions.costModels(arguments)
        if let matched = arguments.text("matched").flatMap(MatchedQuantity.init) { scenario.matched = matched }
        scenario.verdictSource = arguments.text("verdict-source")
        scenario.relay = try SimulateOptions.limits(arguments)
        scenario.groupBy = arguments.text("group-by")
        if let text = arguments.text("cluster") {
            guard let cluster = Cluster(text) else {
                throw .badUsage("--cluster: must be request, tenant or tag:NAME, such as tag:question")
            }
            scenario.cluster = cluster
        }
        if let text = arguments.text("train") {
            guard let split = TrainWord.split(text) else {
                throw .badUsage(
                    "--train: must be a share from 0.001 to 0.999, such as 0.5, or with an order (time, file or random), "
                        + "such as 0.5/random, not \(text.json)")
            }
            scenario.train = split
        }
        if let seed = arguments.integer("seed") { scenario.seed = UInt64(clamping: seed) }
        if let replicates = arguments.integer("replicates") { scenario.replicates = replicates }
        complete()
    }

    /// What a trace is asked anyhow: its log as it is, and the costs that need no prices.
    private mutating func complete() {
        switch source {
        case .paper, .pairs, .rows: return
        case .traces, .ledger: break
        }
        if scenario.policies.isEmpty {
            scenario.hasUsualPolicies = true
            scenario.policies = [
                PolicyEntry(name: "slm", counterfactual: .slmOnly), PolicyEntry(name: "llm", counterfactual: .llmOnly),
                PolicyEntry(name: "random:matched-tokens", counterfactual: .randomRouterAtCost(.llmTokens)),
                PolicyEntry(name: "random:matched-accuracy", counterfactual: .randomRouterAtAccuracy),
            ]
        }
        if !scenario.policies.contains(where: { $0.counterfactual == .asLogged }) {
            scenario.policies.insert(PolicyEntry(name: "as-logged", counterfactual: .asLogged), at: 0)
        }
        if scenario.costModels.isEmpty {
            scenario.costModels = [
                CostModel(name: "as recorded", basis: .recorded),
                CostModel(name: "generated tokens", basis: .generatedTokens),
                CostModel(name: "billed tokens", basis: .billedTokens),
            ]
        }
    }

    private static func source(_ arguments: ParsedArguments) -> Source? {
        if arguments.flag("paper") { return .paper }
        if let path = arguments.text("pairs") { return .pairs(path, columns: arguments.text("columns")) }
        if let path = arguments.text("rows") { return .rows(path) }
        let paths = arguments.texts("traces")
        if !paths.isEmpty { return .traces(paths) }
        return arguments.flag("ledger") ? .ledger : nil
    }

    static func isGiven(_ option: Option, _ arguments: ParsedArguments) -> Bool {
        option.value == nil ? arguments.flag(option.name) : !arguments.texts(option.name).isEmpty
    }

    /// The options that change a report, in the order in which help lists them; moments as what they mean later, too.
    private static func words(_ arguments: ParsedArguments, _ selection: TraceSelection) -> [String] {
        let moments = ["from": selection.from, "to": selection.to]
        let work: Set = [
            "format", "output", "rerun-list", "budget-list", "threads", "shard", "partial", "save-every", "resume",
            "primary", "config",
        ]
        var words: [String] = []
        for option in arguments.command.options where !work.contains(option.name) && isGiven(option, arguments) {
            if option.name == "traces" || option.value == nil {
                words.append("--\(option.name)")
            } else if let moment = moments[option.name] ?? nil {
                words += ["--\(option.name)", moment.rfc3339]
            } else {
                for text in arguments.texts(option.name) { words += ["--\(option.name)", text] }
            }
        }
        return words
    }

    /// A word as a shell takes it.
    static func quoted(_ word: String) -> String {
        let plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:,=@%+"
        if !word.isEmpty, word.allSatisfy(plain.contains) { return word }
        return "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }
}
