internal import Accounting
internal import Arguments
internal import Store

/// `relaygate trace`: what the ledger holds of requests.
enum TraceCommand {
    private static let json = Option.flag("json", "print the trace format: JSONL, see Docs/trace-format.md")
    private static let filters: [Option] = [
        .value("tenant", .text, "NAME", "only this tenant's requests"),
        .value("model", .text, "MODEL", "only this public model's"),
        .value("policy", .text, "POLICY", "only requests under this policy, such as relay or fixed(100)"),
        .value("outcome", .choice(Outcome.allCases.map(\.rawValue)), "OUTCOME", "only requests that ended so"),
        .value("tag", .text, "KEY=VALUE", repeats: true, "only requests with this tag; several must all fit"),
        .value(
            "where", .text, "CONDITION", repeats: true,
            "only requests whose number fits, such as 'llm_tokens>0'; several must all fit"),
        .value("since", .duration, "TIME", "only requests of the last TIME, such as 24h"),
        .value(
            "from", .text, "TIME",
            "only requests from then on (UTC), such as 2026-11-01, 2026-11-24T15:00, last-month or -7d"),
        .value("to", .text, "TIME", "only requests before then (UTC)"),
    ]
    private static let conditions = """
        A condition compares one number of a request: \(TraceCondition.Field.allCases.map(\.rawValue).joined(separator: ", ")), \
        with >, >=, <, <=, = or !=. ms is the time from start to end, degraded is 1 or 0.
        """

    static let command = Arguments.Command(
        "trace", "list, show, export and import requests with their segments",
        subcommands: [
            Command(
                "list", "list requests, the newest first", discussion: conditions,
                options: filters + [
                    .value("limit", .integer(1...1_000_000), "N", default: "20", "at most so many"),
                    ConfigurationOption.option, json,
                ]),
            Command(
                "show", "show a request: its segments in order",
                options: [ConfigurationOption.option, json],
                positionals: [Positional("id", "the request's id or at least 8 of its first digits")]),
            Command(
                "export", "write requests as JSONL or CSV, the oldest first",
                discussion: """
                    In constant memory, in the order of request ids, with tags, costs and verdicts; Docs/trace-format.md \
                    has the format. On a terminal, progress is shown on standard error.

                    """ + conditions,
                options: filters + [
                    .value("limit", .integer(1...Int.max), "N", "at most so many; all by default"),
                    .value(
                        "format", .choice(TraceFile.Format.allCases.map(\.rawValue)), "FORMAT", default: "jsonl",
                        "jsonl, one request a line, or csv, one segment a line"),
                    .value(
                        "output", .text, "FILE", "write to this file, which must not exist; standard output by default"),
                    .flag(
                        "resume", "go on behind the last whole request of --output; give the other options as before"),
                    ConfigurationOption.primary, ConfigurationOption.option,
                ]),
            TraceImportCommand.command,
        ])

    static func run(_ arguments: ParsedArguments) throws(CommandExit) {
        if arguments.path.last == "import" { return try TraceImportCommand.run(arguments) }
        switch arguments.path.last {
        case "show": try show(arguments, ConfigurationOption.connection(arguments))
        case "export": try TraceExport.run(arguments, filter(arguments), LedgerSource(arguments))
        default: try list(arguments, ConfigurationOption.connection(arguments))
        }
    }

    private static func filter(_ arguments: ParsedArguments) throws(CommandExit) -> TraceFilter {
        let since = arguments.duration("since").map {
            Accounting.Timestamp(microseconds: Clock.now().microseconds - $0.components.seconds * 1_000_000)
        }
        let from = try arguments.moment("from")
        if since != nil, from != nil { throw .badUsage("--from: give it or --since, not both") }
        var filter = TraceFilter(
            tenant: arguments.text("tenant"), since: since ?? from,
            until: try arguments.moment("to"),
            model: arguments.text("model"), limit: arguments.integer("limit"))
        if let low = filter.since, let high = filter.until, low >= high {
            throw .badUsage("--to: must be after --from")
        }
        filter.policy = arguments.text("policy")
        filter.outcome = arguments.text("outcome").flatMap(Outcome.init)
        for text in arguments.texts("tag") {
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, !parts[0].isEmpty else {
                throw .badUsage("--tag: must be KEY=VALUE, such as team=search, not \(text.json)")
            }
            filter.tags.append(RequestTag(key: String(parts[0]), value: String(parts[1])))
        }
        for text in arguments.texts("where") {
            guard let condition = TraceCondition(text) else {
                let fields = TraceCondition.Field.allCases.map(\.rawValue).joined(separator: ", ")
                throw .badUsage(
                    "--where: must be FIELD OPERATOR NUMBER, such as 'llm_tokens>0', not \(text.json); "
                        + "fields are \(fields), operators >, >=, <, <=, = and !=")
            }
            filter.conditions.append(condition)
        }
        return filter
    }

    private static func show(_ arguments: ParsedArguments, _ connection: String) throws(CommandExit) {
        let id = arguments.positional("id") ?? ""
        let trace = try Database.use(connection) { (database) async throws -> Trace in
            do {
                return try await TraceReader(database).show(id)
            } catch let error as StoreError where error.code == .notFound {
                guard try await DeadLetters.has(id, in: database) else { throw error }
                throw StoreError(
                    .notFound,
                    "request \(id) lies in the dead letters, because the tables refused it; see: relaygate ledger "
                        + "dead-letters show \(id)")
            }
        }
        if arguments.flag("json") { return Terminal.line(trace.json) }
        Terminal.write(TraceText.summary(trace) + "\n" + TraceText.segments(trace))
    }

    private static func list(_ arguments: ParsedArguments, _ connection: String) throws(CommandExit) {
        let filter = try filter(arguments)
        let wantsJSON = arguments.flag("json")
        let traces = try Database.use(connection) { (database) async throws -> [Trace] in
            let reader = TraceReader(database)
            let traces = try await reader.list(filter)
            guard wantsJSON else { return traces }
            var whole: [Trace] = []
            for trace in traces { whole.append(try await reader.show(trace.request.id.description)) }
            return whole
        }
        if wantsJSON {
            for trace in traces { Terminal.line(trace.json) }
            return
        }
        if traces.isEmpty { return Terminal.line("no requests") }
        let rows = traces.map { trace in
            let request = trace.request
            return [
                request.id.description, UTCTime(request.started).text, trace.tenantName, request.model,
                request.outcome.rawValue, "\(request.calls)", "\(request.slmTokens)", "\(request.llmTokens)",
                TraceText.milliseconds(request.finished.microseconds - request.started.microseconds),
            ]
        }
        let header = ["id", "started (UTC)", "tenant", "model", "outcome", "calls", "SLM", "LLM", "took"]
        Terminal.write(Terminal.table(header, rows, right: [5, 6, 7, 8]))
    }
}
