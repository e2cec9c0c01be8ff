package import Postgres

extension PostgresConfiguration {
    /// For tests: waits as long as a machine needs that runs hundreds of them at once. Only a failure ends it.
    package static func patient(_ connection: String) -> PostgresConfiguration {
        PostgresConfiguration(connection: connection, connectTimeout: .seconds(120), answerTimeout: nil)
    }
}
