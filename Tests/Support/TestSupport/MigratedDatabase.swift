internal import Postgres
internal import Reactor
internal import Store

extension TemporaryPostgres {
    /// Makes a database with the program's schema; returns its connection string.
    package func makeMigratedDatabase() async throws -> String {
        let connection = try makeDatabase()
        try await onLoop { actor in
            let postgres = try await PostgresConnection.connect(
                .patient(connection), on: actor.loop)
            _ = try await Migrator(postgres).apply()
            postgres.close()
        }
        return connection
    }
}
