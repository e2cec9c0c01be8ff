internal import Arguments
internal import Configuration
internal import Postgres
internal import Reactor
internal import Store

/// The database as the tools use it: one connection, one piece of work.
enum Database {
    /// Connects, runs `body` and closes. Errors become one line that names the remedy where there is one.
    static func use<Value: Sendable>(
        _ connection: String, _ body: @escaping @Sendable (PostgresConnection) async throws -> Value
    ) throws(CommandExit) -> Value {
        do {
            return try EventLoop.running("tool") { actor in
                let connection = try await PostgresConnection.connect(
                    Postgres.PostgresConfiguration(connection: connection), on: actor.loop)
                defer { connection.close() }
                return try await body(connection)
            }
        } catch let exit as CommandExit {
            throw exit
        } catch let error as StoreError {
            throw .failure(error.description)
        } catch {
            throw .failure("the database cannot be used: \(error)")
        }
    }

    /// Refuses to go on with a schema that is not the one this program was built with.
    static func requireCurrentSchema(_ configuration: GatewayConfiguration) throws(CommandExit) {
        let states = try use(configuration.postgres.url.reveal()) { try await Migrator($0).status() }
        let pending = states.filter { $0.state == .pending }
        guard pending.isEmpty else {
            throw .failure(
                "the database lacks \(pending.count) migration(s); run: relaygate migrate --config <file>")
        }
        guard states.allSatisfy({ if case .applied = $0.state { true } else { false } }) else {
            throw .failure(
                "the database's schema is not this program's; see: relaygate migrate --status --config <file>")
        }
    }
}
