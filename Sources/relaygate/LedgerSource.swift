internal import Arguments
internal import Configuration

/// The server that a command reads the ledger from.
struct LedgerSource: Sendable {
    let connection: String
    let isReplica: Bool

    /// As a statement's head has it.
    var name: String { isReplica ? "replica" : "primary" }

    /// The replica if the configuration has one, unless `--primary` is given.
    init(_ arguments: ParsedArguments) throws(CommandExit) {
        let postgres = try ConfigurationOption.load(arguments).postgres
        let replica = arguments.flag("primary") ? nil : postgres.replica
        connection = (replica ?? postgres.url).reveal()
        isReplica = replica != nil
    }
}
