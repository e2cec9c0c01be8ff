internal import Accounting
internal import Arguments
internal import Glibc
internal import Migrations
internal import Postgres
internal import Store

/// `relaygate migrate`: brings the database's schema up to this program's.
enum MigrateCommand {
    static let command = Arguments.Command(
        "migrate", "bring the database's schema up to date",
        discussion: """
            Applies the migrations that are missing, each in its own transaction and in order. Refuses a database whose \
            applied migrations differ from this program's.
            """,
        options: [.flag("status", "only list the migrations and their state"), ConfigurationOption.option])

    static func run(_ arguments: ParsedArguments) throws(CommandExit) {
        let connection = try ConfigurationOption.connection(arguments)
        if arguments.flag("status") { return try printStatus(connection) }
        let applied = try Database.use(connection) { database in
            // What a migration tells on purpose has this code; what the server says of itself has others.
            database.onNotice = { code, text in
                guard code == "00000" else { return }
                // libpq puts the severity before the text, in the server's language.
                let message = text.split(separator: ":  ", maxSplits: 1).last ?? ""
                Terminal.note(String(message))
            }
            return try await Migrator(database).apply()
        }
        for migration in applied { Terminal.line("applied \(migration.version) \(migration.name)") }
        if applied.isEmpty { Terminal.line("nothing to do: the schema is up to date") }
    }

    private static func printStatus(_ connection: String) throws(CommandExit) {
        let states = try Database.use(connection) { try await Migrator($0).status() }
        let rows = states.map { status in
            let state =
                switch status.state {
                case .applied(let at): "applied " + UTCTime(at).text
                case .pending: "pending"
                case .changed: "CHANGED since it was applied"
                case .unknown: "UNKNOWN to this program"
                }
            return [String(status.version), status.name, state]
        }
        Terminal.write(Terminal.table(["version", "name", "state"], rows, right: [0]))
        let isSound = states.allSatisfy {
            switch $0.state {
            case .applied, .pending: true
            case .changed, .unknown: false
            }
        }
        if !isSound { throw .failure("the database's migrations are not this program's") }
    }
}
