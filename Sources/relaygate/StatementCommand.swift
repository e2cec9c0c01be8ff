internal import Accounting
internal import Arguments
internal import Foundation
internal import Postgres
internal import Store

/// `relaygate usage statement`: a tenant's bill of a month.
enum StatementCommand {
    static let command = Arguments.Command(
        "statement", "make a tenant's statement of a month",
        discussion: """
            Tokens by kind at the price that held when their request began, in lines that make up the total to the \
            pico-dollar. What has no price stands apart, without an amount. The HTML page is for printing.
            """,
        options: [
            .value("tenant", .text, "NAME", required: true, "whose statement it is"),
            .value(
                "month", .text, "MONTH", required: true,
                "a year and a month, such as 2026-10; or this-month or last-month"),
            UsageCommand.timezone,
            .value("format", .choice(["text", "csv", "html", "json"]), "FORMAT", default: "text", "how to write it"),
            .value("output", .text, "FILE", "where to; standard output without it"), UsageCommand.decimalComma,
            UsageCommand.timeout, ConfigurationOption.primary, ConfigurationOption.option,
        ])

    static func run(_ arguments: ParsedArguments) throws(CommandExit) {
        let (tenant, month) = (arguments.text("tenant") ?? "", arguments.text("month") ?? "")
        let zone = arguments.text("timezone") ?? "UTC"
        let dialect = try UsageCommand.dialect(arguments)
        do throws(UsageProblem) {
            try UsageQuery.checkZone(zone, parameter: "timezone")
        } catch {
            throw .badUsage("--\(error.parameter): \(error.reason)")
        }
        let (statement, missing) = try UsageCommand.read(arguments) { database, source in
            let statement = try await StatementReader(database, now: Clock.now)
                .statement(tenant: tenant, month: month, zone: zone, source: source.name)
            return (statement, try await deadLetters(of: statement, in: database))
        }
        UsageCommand.tell(deadLetters: missing)
        let text =
            switch arguments.text("format") {
            case "csv": StatementText.csv(statement, dialect)
            case "html": StatementPage(statement).html
            case "json": statement.json + "\n"
            default: StatementText.text(statement)
            }
        guard let path = arguments.text("output") else { return Terminal.write(text) }
        try write(text, to: path)
    }

    private static func deadLetters(
        of statement: MonthlyStatement, in database: any PostgresDatabase
    ) async throws(StoreError) -> Int {
        guard let first = Timestamp(rfc3339: statement.month + "-01") else { return 0 }
        var query = UsageQuery(
            dimensions: [], from: .clock(first), to: .clock(first.month(ago: -1)), zone: statement.zone)
        query.filters[.tenant] = [statement.tenant]
        return try await UsageReader(database, now: Clock.now).deadLetters(query)
    }

    /// Puts a file in the place of an older one when it is whole. What is no file, such as a device or a link, is
    /// written to: a new file would take its place.
    private static func write(_ text: String, to path: String) throws(CommandExit) {
        let kind = try? FileManager.default.attributesOfItem(atPath: path)[.type] as? FileAttributeType
        if kind == .typeDirectory { throw .failure("--output: \(path) is a directory; name a file in it") }
        do {
            try Data(text.utf8).write(
                to: URL(fileURLWithPath: path), options: kind == nil || kind == .typeRegular ? .atomic : [])
        } catch {
            let cause = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError ?? error as NSError
            throw .failure(
                "--output: cannot write \(path): \(cause.localizedFailureReason ?? cause.localizedDescription)")
        }
    }
}
