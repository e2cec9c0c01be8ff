internal import Accounting
internal import Arguments
internal import Store
internal import Traces

/// `relaygate ledger dead-letters`: the records that the tables refused.
enum DeadLetterCommand {
    private static let json = Option.flag("json", "print JSON")

    static let command = Arguments.Command(
        "dead-letters", "list, show and try again what the tables refused",
        subcommands: [
            Command(
                "list", "list them in the order of their requests",
                options: [
                    .value("limit", .integer(1...1_000_000), "N", default: "100", "at most so many"),
                    ConfigurationOption.option, json,
                ]),
            Command(
                "show", "show one with its record, and whether it can be tried again",
                options: [ConfigurationOption.option, json], positionals: [Positional("id", "the request's id")]),
            Command(
                "retry", "write them into the ledger, once what they were refused for is gone",
                discussion: """
                    As after an upgrade. Each is one transaction: its request is in the ledger and \
                    in the usage of the hour in which it began, or it stays a dead letter, and the reason is said. Budgets \
                    were charged when it was refused and are not charged again. Of prompts and answers only hashes come \
                    back. Ends with status 1 when some stay.
                    """,
                options: [ConfigurationOption.option, json],
                positionals: [Positional("id", required: false, repeats: true, "requests' ids; all without any")]),
        ])

    static func run(_ arguments: ParsedArguments) throws(CommandExit) {
        let connection = try ConfigurationOption.connection(arguments)
        switch arguments.path.last {
        case "show": try show(arguments, connection)
        case "retry": try retry(arguments, connection)
        default: try list(arguments, connection)
        }
    }

    private static func list(_ arguments: ParsedArguments, _ connection: String) throws(CommandExit) {
        let limit = arguments.integer("limit") ?? 100
        let letters = try Database.use(connection) { try await DeadLetters($0).list(limit: limit) }
        if arguments.flag("json") { return Terminal.line(BudgetText.list(letters.map(text))) }
        if letters.isEmpty { return Terminal.line("no dead letters") }
        let rows = letters.map { letter in
            [
                letter.request.description, UTCTime(letter.request.time).text, letter.tenantName ?? "-",
                UTCTime(letter.buried).text, letter.sqlState, BudgetText.grouped(letter.charged),
                obstacle(letter) ?? "-",
            ]
        }
        let header = [
            "request", "began (UTC)", "tenant", "refused (UTC)", "SQLSTATE", "charged", "cannot be tried because",
        ]
        Terminal.write(Terminal.table(header, rows, right: [5]))
    }

    private static func show(_ arguments: ParsedArguments, _ connection: String) throws(CommandExit) {
        let id = try request(arguments.positional("id") ?? "")
        let letter = try Database.use(connection) { try await DeadLetters($0).letter(of: id) }
        if arguments.flag("json") { return Terminal.line(text(letter)) }
        Terminal.line("request   \(letter.request)")
        Terminal.line("began     \(UTCTime(letter.request.time).text) UTC")
        Terminal.line("tenant    \(letter.tenantName ?? "-")")
        Terminal.line("refused   \(UTCTime(letter.buried).text) UTC, SQLSTATE \(letter.sqlState)")
        Terminal.line("charged   \(BudgetText.grouped(letter.charged)) (all budgets together)")
        let reason = obstacle(letter).map { "cannot be tried again: \($0)" }
        Terminal.line(
            "state     \(reason ?? "can be tried again: relaygate ledger dead-letters retry \(letter.request)")")
        Terminal.line("record    \(Terminal.oneLine(letter.record))")
    }

    private static func retry(_ arguments: ParsedArguments, _ connection: String) throws(CommandExit) {
        var ids: [UUID7] = []
        for text in arguments.positionals("id") { ids.append(try request(text)) }
        let chosen = ids
        let done = try Database.use(connection) { (database) async throws -> [(UUID7, DeadLetterOutcome)] in
            let letters = DeadLetters(database)
            var found: [DeadLetter] = []
            for id in chosen { found.append(try await letters.letter(of: id)) }
            if chosen.isEmpty { found = try await letters.list(limit: 1_000_000) }
            var done: [(UUID7, DeadLetterOutcome)] = []
            for letter in found {
                do {
                    done.append((letter.request, try await letters.retry(letter, as: try letter.readRecord())))
                } catch let fault as TraceFault {
                    done.append((letter.request, .refused(fault.description)))
                }
            }
            return done
        }
        if arguments.flag("json") {
            Terminal.line(
                BudgetText.list(
                    done.map { id, outcome in
                        let (word, reason) = words(outcome)
                        return #"{"request_id":\#(id.description.json),"outcome":\#(word.json),"#
                            + #""reason":\#(reason?.json ?? "null")}"#
                    }))
        } else {
            for (id, outcome) in done {
                let (word, reason) = words(outcome)
                Terminal.line("\(id): \(word)\(reason.map { ": \(Terminal.oneLine($0))" } ?? "")")
            }
            if done.isEmpty { Terminal.line("no dead letters") }
        }
        let left = done.count { if case .refused = $0.1 { true } else { false } }
        if left > 0 { throw .failure("\(left) record(s) stay dead letters") }
    }

    private static func words(_ outcome: DeadLetterOutcome) -> (word: String, reason: String?) {
        switch outcome {
        case .written: ("written", nil)
        case .present: ("present", "it was in the ledger already")
        case .gone: ("gone", "somebody else has taken or changed it")
        case .refused(let reason): ("refused", reason)
        }
    }

    /// Why a letter's record cannot be read; nil when it can.
    private static func obstacle(_ letter: DeadLetter) -> String? {
        do throws(TraceFault) {
            _ = try letter.readRecord()
            return nil
        } catch {
            return Terminal.oneLine(error.description)
        }
    }

    private static func request(_ text: String) throws(CommandExit) -> UUID7 {
        guard let id = UUID7(text) else { throw .badUsage("id: must be a request's id, not \(text.json)") }
        return id
    }

    private static func text(_ letter: DeadLetter) -> String {
        #"{"request_id":\#(letter.request.description.json),"tenant":\#(letter.tenantName?.json ?? "null"),"#
            + #""refused":\#(letter.buried.rfc3339.json),"sqlstate":\#(letter.sqlState.json),"#
            + #""charged":\#(letter.charged),"obstacle":\#(obstacle(letter)?.json ?? "null"),"#
            + #""record":\#(letter.record)}"#
    }
}
