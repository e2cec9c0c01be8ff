internal import Accounting
internal import Arguments
internal import Store

/// `relaygate trace`: what the ledger holds of requests.
enum TraceCommand {
    private static let json = Option.flag("json", "print the trace format: JSONL, see Docs/trace-format.md")
    private static let filters: [Option] = [
        .value("tenant", .text, "NAME", "only this tenant's requests"),
        .value("model", .text, "MODEL", "only this public model's"),
        .value("since", .duration, "TIME", "only requests of the last TIME, such as 24h"),
    ]

    static let command = Arguments.Command(
        "trace", "list and show requests with their segments",
        subcommands: [
            Command(
                "list", "list requests, the newest first",
                options: filters + [
                    .value("limit", .integer(1...1_000_000), "N", default: "20", "at most so many"),
                    ConfigurationOption.option, json,
                ]),
            Command(
                "show", "show a request: its segments in order",
                options: [ConfigurationOption.option, json],
                positionals: [Positional("id", "the request's id or at least 8 of its first digits")]),
            Command(
                "export", "write requests as JSONL, the oldest first",
                options: filters + [
                    .value("limit", .integer(1...Int.max), "N", "at most so many; all by default"),
                    ConfigurationOption.option,
                ]),
        ])

    static func run(_ arguments: ParsedArguments) throws(CommandExit) {
        let connection = try ConfigurationOption.connection(arguments)
        switch arguments.path.last {
        case "show": try show(arguments, connection)
        case "export": try export(filter(arguments), connection)
        default: try list(arguments, connection)
        }
    }

    private static func filter(_ arguments: ParsedArguments) -> TraceFilter {
        let since = arguments.duration("since").map {
            Accounting.Timestamp(microseconds: Clock.now().microseconds - $0.components.seconds * 1_000_000)
        }
        return TraceFilter(
            tenant: arguments.text("tenant"), since: since, model: arguments.text("model"),
            limit: arguments.integer("limit"))
    }

    private static func show(_ arguments: ParsedArguments, _ connection: String) throws(CommandExit) {
        let id = arguments.positional("id") ?? ""
        let trace = try Database.use(connection) { try await TraceReader($0).show(id) }
        if arguments.flag("json") { return Terminal.line(trace.json) }
        Terminal.write(TraceText.summary(trace) + "\n" + TraceText.segments(trace))
    }

    private static func export(_ filter: TraceFilter, _ connection: String) throws(CommandExit) {
        _ = try Database.use(connection) { try await TraceReader($0).export(filter) { Terminal.line($0) } }
    }

    private static func list(_ arguments: ParsedArguments, _ connection: String) throws(CommandExit) {
        let filter = filter(arguments)
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
