internal import Accounting
internal import Arguments
internal import Notation
internal import Postgres
internal import Store

/// `relaygate usage`: what was used and what it cost.
enum UsageCommand {
    static let timezone = Option.value(
        "timezone", .text, "ZONE", default: "UTC", "whose days and months: an IANA name such as Europe/Berlin")
    static let timeout = Option.value(
        "timeout", .duration, "TIME", default: "30s", "give up when the database takes longer")

    static let decimalComma = Option.flag(
        "decimal-comma", "CSV for spreadsheets whose numbers have commas: cells are separated by semicolons")

    static let command = Arguments.Command(
        "usage", "report what was used and what it cost",
        discussion: """
            One row for each combination of what --by names, and a row of totals. Call ratio is LLM tokens / all \
            generated tokens. Requests, calls and latencies are kept by request: they are empty where role, upstream or \
            upstream_model is named or filtered by; refusals moreover for policy and tags. Percentiles are within 9.1 %.
            Moments are dates, times on whole hours (2026-10-01T15:00, with Z or +02:00 for another zone's), today, \
            yesterday, this-month, last-month, -7d (the day seven days ago), -24h. Docs/usage.md explains the columns.
            """,
        options: [
            .value(
                "by", .text, "NAMES", default: "tenant",
                "tenant, key, model, policy, role, upstream, upstream_model, hour, day, month, tag:KEY, with commas"),
            .value("from", .text, "MOMENT", default: "this-month", "where it begins"),
            .value("to", .text, "MOMENT", "before which it ends; now without it"), timezone,
            .value("tenant", .text, "NAME", repeats: true, "only this tenant's"),
            .value("key", .text, "ID", repeats: true, "only of the key with this public part"),
            .value("model", .text, "MODEL", repeats: true, "only this public model's"),
            .value("policy", .text, "POLICY", repeats: true, "only under this policy"),
            .value("role", .choice(["slm", "llm"]), "ROLE", "only the small or the large model's"),
            .value("upstream", .text, "NAME", repeats: true, "only of this model server"),
            .value("upstream-model", .text, "MODEL", repeats: true, "only of the model with this name on its server"),
            .value("tag", .text, "KEY=VALUE", repeats: true, "only requests with this tag"),
            .value(
                "top", .integer(1...UsageReader.rowLimit), "N",
                "the rows with the most LLM tokens, largest first; the rest as one row"),
            .value("format", .choice(UsageFormat.allCases.map(\.rawValue)), "FORMAT", default: "table", "how to print"),
            decimalComma, timeout, ConfigurationOption.primary, ConfigurationOption.option,
        ], subcommands: [StatementCommand.command], runsWithoutSubcommand: true)

    static func run(_ arguments: ParsedArguments) throws(CommandExit) {
        if arguments.path.last == "statement" { return try StatementCommand.run(arguments) }
        let query = try query(arguments)
        let top = arguments.integer("top")
        let dialect = try dialect(arguments)
        var (report, unmatched, deadLetters) = try read(arguments) { database, _ in
            let reader = UsageReader(database, now: Clock.now)
            let report = try await reader.report(query)
            return (report, try await reader.unmatched(query, report), try await reader.deadLetters(query))
        }
        let emptyTags = report.emptyTags
        if let top { report.keep(top: top) }
        switch arguments.text("format").flatMap(UsageFormat.init) ?? .table {
        case .table: Terminal.write(UsageText.table(report))
        case .markdown: Terminal.write(UsageText.markdown(report))
        case .csv: Terminal.write(UsageText.csv(report, dialect))
        case .json: Terminal.line(report.json)
        case .jsonl: for line in report.jsonLines { Terminal.line(line) }
        }
        for filter in unmatched { Terminal.note(Terminal.oneLine(filter.note)) }
        tell(deadLetters: deadLetters)
        for name in emptyTags {
            Terminal.note(
                "no row has a value of \(Terminal.oneLine(name)): no request in this report has the tag, or its tenant "
                    + "does not keep it (`relaygate tenant tags`)")
        }
    }

    /// What is in no report.
    static func tell(deadLetters: Int) {
        guard deadLetters > 0 else { return }
        Terminal.note(
            "\(deadLetters) request(s) of this range lie in the dead letters and are not in these numbers; see "
                + "`relaygate ledger dead-letters list`")
    }

    static func dialect(_ arguments: ParsedArguments) throws(CommandExit) -> CSVText.Dialect {
        guard arguments.flag("decimal-comma") else { return .points }
        guard arguments.text("format") == "csv" else {
            throw .badUsage("--decimal-comma: is for CSV only; give --format csv with it")
        }
        return .decimalCommas
    }

    /// Reads a report; what is invalid is an option.
    static func read<Value: Sendable>(
        _ arguments: ParsedArguments,
        _ body: @escaping @Sendable (any PostgresDatabase, LedgerSource) async throws -> Value
    ) throws(CommandExit) -> Value {
        try Database.report(arguments) { database, source in
            do {
                return try await body(database, source)
            } catch let error as StoreError where error.code == .invalid {
                throw CommandExit.badUsage(named(error.description))
            }
        }
    }

    /// A message that begins with a parameter's name as one about the option.
    private static func named(_ message: String) -> String {
        for name in ["from", "timezone", "month"] where message.hasPrefix(name + ":") { return "--" + message }
        return message
    }

    static func query(_ arguments: ParsedArguments) throws(CommandExit) -> UsageQuery {
        do throws(UsageProblem) {
            let zone = arguments.text("timezone") ?? "UTC"
            try UsageQuery.checkZone(zone, parameter: "timezone")
            var query = UsageQuery(
                dimensions: try UsageDimension.list(arguments.text("by") ?? "tenant", parameter: "by"), zone: zone)
            if let text = arguments.text("from") { query.from = try UsageMoment(text, parameter: "from") }
            if let text = arguments.text("to") { query.to = try UsageMoment(text, parameter: "to") }
            let options: [(String, UsageDimension)] = [
                ("tenant", .tenant), ("key", .key), ("model", .model), ("policy", .policy), ("role", .role),
                ("upstream", .upstream), ("upstream-model", .upstreamModel),
            ]
            for (option, dimension) in options {
                let names = arguments.texts(option)
                if !names.isEmpty { query.filters[dimension] = names }
            }
            for text in arguments.texts("tag") {
                guard let sign = text.firstIndex(of: "="), let dimension = UsageDimension("tag:" + text[..<sign]) else {
                    throw UsageProblem("tag", "must be a tag and its value, such as team=search")
                }
                query.filters[dimension, default: []].append(String(text[text.index(after: sign)...]))
            }
            return query
        } catch {
            throw .badUsage("--\(error.parameter): \(error.reason)")
        }
    }
}

/// How a report is printed.
enum UsageFormat: String, CaseIterable {
    case table, csv, json, jsonl, markdown
}
