internal import Arguments
internal import Notation
internal import Reports
internal import Scenarios
internal import Simulator

/// `relaygate simulate`: what another policy would have cost, and what can be known about its answers.
enum SimulateCommand {
    static let output: [Option] = [
        .value("format", .choice(ReportFormat.allCases.map(\.rawValue)), "FORMAT", default: "table", "how to print"),
        .value("output", .text, "FILE", "write the report there; standard output without it"),
    ]
    private static let sources: [Option] = [
        .flag("paper", "from the tables that the RelayLLM paper published"),
        .value("pairs", .text, "FILE", "from a pair table: CSV with a verdict of either model alone for each question"),
        .value("columns", .text, "ROLE=COLUMN,…", "which columns of the pair table hold what"),
        .value("rows", .text, "FILE", "from published rows: CSV with accuracies and call ratios of systems"),
        .value(
            "traces", .text, "FILE", repeats: true,
            "from trace files: JSON Lines, or tables named .csv; - is standard input"),
        .flag("ledger", "from the ledger of --config"),
    ]
    private static let filters: [Option] = [
        .value("from", .text, "TIME", "only requests from then on (UTC), such as 2026-11-01, last-month or -7d"),
        .value("to", .text, "TIME", "only requests before then (UTC)"),
        .value("tenant", .text, "NAME", repeats: true, "only this tenant's requests"),
        .value("tag", .text, "KEY=VALUE", repeats: true, "only requests with this tag; several must all fit"),
        .value("served", .text, "POLICY", repeats: true, "only requests that were served under this policy"),
    ]
    private static let questions: [Option] = [
        .value(
            "policy", .text, "POLICIES", repeats: true,
            "what to compare, with commas: \(PolicyWord.forms.joined(separator: ", "))"),
        .value("random-router", .text, "SHARES", "random routers with these shares of requests, with commas"),
        .value("cap-n", .integer(1...1_000_000_000), "N", "every n above this is cut to it"),
        .value("cap-calls", .integer(0...1_000_000), "N", "at most so many calls in an answer"),
        .value("cap-tokens", .integer(0...1_000_000_000), "N", "at most so many LLM tokens in an answer"),
        .value(
            "budget", .text, "TOKENS/WINDOW", repeats: true,
            "budgets of each tenant, such as 50k/day or 2M/month/reject"),
        .value(
            "price", .text, "MODEL=IN/OUT", repeats: true,
            "dollars for a million tokens, such as llm=2.50/10 or llm=2.50/10/0.25 with cached input"),
        .value("parameters", .text, "SLM/LLM", "billions of parameters, such as 1.7/8, for activated parameters"),
        .value(
            "matched", .choice(MatchedQuantity.allCases.map(\.rawValue)), "QUANTITY",
            "what is made equal at matched cost; llm_tokens by default"),
        .value(
            "relay", .text, "LIMITS", repeats: true,
            "the limits under which the trace was made, such as max_call_tokens=1024,max_tokens=2048; 4 calls of 512 by "
                + "default"),
        .value("verdict-source", .text, "NAME", "whose verdicts are believed, where there are several"),
        .value("group-by", .text, "NAME", "split by tenant, model, or a tag such as benchmark"),
        .value("cluster", .text, "NAME", "what belongs together in intervals: request, tenant or tag:NAME"),
        .value(
            "train", .text, "SHARE[/ORDER]",
            "choose thresholds such as threshold:difficulty@share=0.3 on this share, 0.5 by default, and report them on the "
                + "rest; ORDER is time, file or random"),
        .value(
            "replicates", .integer(0...100_000), "N",
            "of the bootstrap, 2000 by default; 0 for none; intervals by a formula remain"),
        .value("seed", .integer(0...Int.max), "N", "of the bootstrap, 20260108 by default"),
    ]
    private static let work: [Option] = [
        .value("rerun-list", .text, "FILE", "write the requests whose answers only a new run can tell, as CSV"),
        .value(
            "budget-list", .text, "FILE",
            "write the requests that budgets refuse or degrade, in the order of arrival, as CSV"),
        .value("threads", .integer(1...256), "N", "at work at once; as many as processors by default"),
        .value("shard", .text, "I/N", "only part I of N, from 1; with --partial"),
        .value("partial", .text, "FILE", "write a partial result for `relaygate simulate merge` instead of a report"),
        .value(
            "save-every", .bytes, "SIZE", default: "512MiB", "save a --partial after so much of the trace files"),
        .flag("resume", "go on with an interrupted --partial; give the other options as before"),
    ]

    static let command = Arguments.Command(
        "simulate", "say what another policy would have cost, and what can be known about its answers",
        discussion: """
            Answers the question of a scenario file, or one that is asked with options, from recorded requests or from \
            tables. Each number is exact, bounded, estimated or unknown, and says why. Docs/simulate.md is the guide.
            With a scenario file only --traces, --pairs, --ledger, --seed and the options of output and work are taken.
            """,
        options: sources + filters + questions + output + work + [
            ConfigurationOption.primary, ConfigurationOption.option,
        ],
        positionals: [Positional("scenario", required: false, "a scenario file, YAML")],
        subcommands: [
            SimulateMerge.command, Command("reference", "print the reference of scenario files in Markdown"),
        ], runsWithoutSubcommand: true)

    static func run(_ arguments: ParsedArguments) throws(CommandExit) {
        switch arguments.path.last {
        case "merge": return try SimulateMerge.run(arguments)
        case "reference": return Terminal.write(ScenarioReference.markdown)
        default: break
        }
        let question = try SimulateQuestion(arguments)
        try FileIdentity.separate(question.files, arguments)
        if let name = question.source.answersNothing { try refuseQuestion(arguments, name) }
        if arguments.text("columns") != nil, arguments.text("pairs") == nil {
            throw .badUsage("--columns: belongs to --pairs; in a scenario file it is source.columns")
        }
        switch question.source {
        case .paper:
            try refuseWork(arguments, "the paper's tables")
            var report = try SimulateText.saying(question.fileName) { () throws(SimulationError) in
                try PaperAnalysis.report()
            }
            if let title = question.title { report.title = title }
            try SimulateText.write(report, question, arguments)
        case .pairs(let path, let columns):
            try refuseWork(arguments, "a pair table")
            try SimulateText.write(pairs(path, columns, question), question, arguments)
        case .rows(let path):
            try refuseWork(arguments, "published rows")
            let bytes = try InputFile.bytes(path)
            let rows = try SimulateText.saying(path) { () throws(SimulationError) in try SummaryRows(csv: bytes) }
            var report = rows.report(source: path)
            if let title = question.title { report.title = title }
            try SimulateText.write(report, question, arguments)
        case .traces, .ledger: try SimulateTraces.run(question, arguments)
        }
    }

    private static func pairs(
        _ path: String, _ columns: String?, _ question: SimulateQuestion
    ) throws(CommandExit) -> Report {
        let bytes = try InputFile.bytes(path)
        if bytes.first == UInt8(ascii: "{") {
            throw .failure("\(path): is JSON and no table; trace files are given with --traces")
        }
        let options = try SimulateText.saying(question.fileName) { () throws(SimulationError) in
            try question.scenario.pairOptions(source: path)
        }
        var report = try SimulateText.saying(path) { () throws(SimulationError) in
            let table = try PairTable(csv: bytes, columns: try columns.map(PairColumns.init) ?? PairColumns())
            return try PairAnalysis.report(table, options)
        }
        if let title = question.title { report.title = title }
        return report
    }

    /// Published numbers are reported as they are: no option asks anything of them.
    private static func refuseQuestion(_ arguments: ParsedArguments, _ source: String) throws(CommandExit) {
        let given = (filters + questions).filter { SimulateQuestion.isGiven($0, arguments) }.map { "--\($0.name)" }
        guard !given.isEmpty else { return }
        throw .badUsage(
            "\(given.joined(separator: ", ")): \(given.count == 1 ? "belongs" : "belong") to --traces, --ledger and "
                + "--pairs: \(source) hold no requests; leave \(given.count == 1 ? "it" : "them") out")
    }

    private static func refuseWork(_ arguments: ParsedArguments, _ source: String) throws(CommandExit) {
        for option in ["rerun-list", "budget-list", "shard", "partial"] where arguments.text(option) != nil {
            throw .badUsage("--\(option): belongs to --traces and --ledger, not to \(source)")
        }
        if arguments.flag("resume") { throw .badUsage("--resume: belongs to --partial") }
        if arguments.flag("primary") { throw .badUsage("--primary: belongs to --ledger") }
    }
}

/// How a report of a simulation is printed.
enum ReportFormat: String, CaseIterable {
    case table, json, csv, html
}
