internal import Accounting
internal import Arguments
internal import Configuration
internal import Notation
internal import Postgres
internal import Store

/// `relaygate ledger`: how full the ledger is, and keeping it from growing for ever.
enum LedgerCommand {
    private static let json = Option.flag("json", "print JSON")

    static let command = Arguments.Command(
        "ledger", "show how full the ledger is, prune it, and see to what it refused",
        subcommands: [
            Command(
                "status", "show sizes by table and month, and what needs a person",
                discussion: "Rows are estimates. Ends with status 1 when something needs a person.",
                options: [ConfigurationOption.option, json]),
            Command(
                "prune", "delete what is older than the configuration's retention",
                discussion: """
                    The same as a running gateway does every hour. Requests, segments and charges go by whole months; a \
                    month that a budget still needs is kept, and the months after it. What has no retention is kept.
                    """,
                options: [
                    .flag("dry-run", "only say what would go"),
                    ConfigurationOption.option, json,
                ]),
            DeadLetterCommand.command,
        ])

    static func run(_ arguments: ParsedArguments) throws(CommandExit) {
        if arguments.path.contains("dead-letters") { return try DeadLetterCommand.run(arguments) }
        switch arguments.path.last {
        case "prune": try prune(arguments)
        default: try status(arguments)
        }
    }

    private static func prune(_ arguments: ParsedArguments) throws(CommandExit) {
        let configuration = try ConfigurationOption.load(arguments)
        let settings = RetentionSettings(configuration.retention)
        if settings.keepsAll, !arguments.flag("json") {
            return Terminal.line("the configuration has no retention: everything is kept; see Docs/retention.md")
        }
        let isDryRun = arguments.flag("dry-run")
        let actor = BudgetCommand.user
        let steps = try Database.use(configuration.postgres.url.reveal(), answerTimeout: nil) { database in
            try await Retention(database, actor: actor).prune(settings, isDryRun: isDryRun)
        }
        if arguments.flag("json") {
            return Terminal.line(BudgetText.list(steps.map(RetentionText.json)))
        }
        if steps.isEmpty { return Terminal.line("nothing is older than the retention") }
        for step in steps { Terminal.line(RetentionText.line(step)) }
    }

    private static func status(_ arguments: ParsedArguments) throws(CommandExit) {
        let configuration = try ConfigurationOption.load(arguments)
        var spool: SpoolSummary?
        if let path = configuration.ledger.spool {
            do throws(SpoolError) { spool = try SpoolSummary.read(path) } catch {
                throw .failure("ledger.spool: \(error)")
            }
        }
        let status = try Database.use(configuration.postgres.url.reveal()) { try await LedgerStatus.read($0) }
        if arguments.flag("json") {
            Terminal.line(json(status, spool))
        } else {
            let rows = status.sizes.map { size in
                [
                    size.table, size.month.map { String($0.rfc3339.prefix(7)) } ?? (size.isDefault ? "no month" : "-"),
                    BudgetText.grouped(size.rows), mebibytes(size.bytes),
                ]
            }
            Terminal.write(Terminal.table(["table", "month", "rows (about)", "MiB"], rows, right: [2, 3]))
            Terminal.line("oldest request   \(status.oldest.map { UTCTime($0).text + " UTC" } ?? "none")")
            Terminal.line("months ahead     \(status.monthsAhead)")
            Terminal.line("dead letters     \(BudgetText.grouped(status.deadLetters))")
            Terminal.line("usage to add up  \(BudgetText.grouped(status.deltas))")
            Terminal.line("usage added up   \(UTCTime(status.usageAdded).text) UTC")
            Terminal.line("to be dropped    \(status.detached)")
            Terminal.line("rows in no month \(BudgetText.grouped(status.defaultRows.reduce(0) { $0 + $1.rows }))")
            if let spool {
                Terminal.line(
                    "spool            \(mebibytes(spool.bytes)) MiB in \(spool.files) file(s) on this machine")
            }
        }
        var complaints = status.complaints
        if let spool, spool.damaged > 0 {
            complaints.append("\(spool.damaged) damaged file(s) in the spool: see \"The spool\" in Docs/operations.md")
        }
        if !complaints.isEmpty { throw .failure(complaints.joined(separator: "\nerror: ")) }
    }

    private static func mebibytes(_ bytes: Int) -> String {
        let tenths = (bytes * 10 + 524_288) / 1_048_576
        return "\(BudgetText.grouped(tenths / 10)).\(tenths % 10)"
    }

    private static func json(_ status: LedgerStatus, _ spool: SpoolSummary?) -> String {
        let waiting = spool.map { #"{"files":\#($0.files),"bytes":\#($0.bytes),"damaged":\#($0.damaged)}"# }
        let sizes = status.sizes.map { size in
            #"{"table":\#(size.table.json),"month":\#((size.month?.rfc3339.prefix(7)).map { String($0).json } ?? "null"),"#
                + #""default":\#(size.isDefault),"rows":\#(size.rows),"bytes":\#(size.bytes)}"#
        }
        let defaults = status.defaultRows.map { "\($0.table.json):\($0.rows)" }
        return #"{"oldest":\#(status.oldest?.rfc3339.json ?? "null"),"months_ahead":\#(status.monthsAhead),"#
            + #""dead_letters":\#(status.deadLetters),"deltas":\#(status.deltas),"detached":\#(status.detached),"#
            + #""usage_added":\#(status.usageAdded.rfc3339.json),"#
            + #""usage_failing":\#(status.usageFailing?.rfc3339.json ?? "null"),"#
            + #""spool":\#(waiting ?? "null"),"default_rows":{\#(defaults.joined(separator: ","))},"#
            + #""complaints":[\#(status.complaints.map(\.json).joined(separator: ","))],"#
            + #""sizes":[\#(sizes.joined(separator: ",\n "))]}"#
    }
}

/// What pruning did, as lines.
enum RetentionText {
    static func line(_ step: RetentionStep) -> String {
        let what = step.month.map { "\(step.what) of \($0.rfc3339.prefix(7))" } ?? step.what
        return switch step.outcome {
        case .pruned: "\(what): \(BudgetText.grouped(step.rows)) row(s) deleted"
        case .due: "\(what): \(BudgetText.grouped(step.rows)) row(s) would be deleted"
        case .kept(let reason): "\(what): kept, and the months after it: \(reason)"
        }
    }

    static func json(_ step: RetentionStep) -> String {
        let (outcome, reason): (String, String?) =
            switch step.outcome {
            case .pruned: ("pruned", nil)
            case .due: ("due", nil)
            case .kept(let reason): ("kept", reason)
            }
        return
            #"{"what":\#(step.what.json),"month":\#((step.month?.rfc3339.prefix(7)).map { String($0).json } ?? "null"),"#
            + #""rows":\#(step.rows),"outcome":\#(outcome.json),"reason":\#(reason?.json ?? "null")}"#
    }
}

extension RetentionSettings {
    init(_ configuration: RetentionConfiguration) {
        self.init(
            segments: configuration.segments, payloads: configuration.payloads,
            deadLetters: configuration.deadLetters, leaseEvents: configuration.leaseEvents)
    }
}
