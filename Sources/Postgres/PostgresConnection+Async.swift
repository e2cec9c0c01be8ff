package import Reactor

/// The asynchronous face: the same commands for callers that can wait. Everything stays on the caller's loop.
extension PostgresConnection {
    /// Connects and logs in.
    package static func connect(
        _ configuration: PostgresConfiguration, on loop: EventLoop
    ) async throws(PostgresError) -> PostgresConnection {
        let box = ConnectionBox()
        let failure: PostgresError? = await withCheckedContinuation { continuation in
            connect(configuration, on: loop) { result in
                switch result {
                case .success(let connection):
                    box.connection = connection
                    continuation.resume(returning: nil)
                case .failure(let error): continuation.resume(returning: error)
                }
            }
        }
        if let failure { throw failure }
        guard let connection = box.connection else { throw PostgresError(.connectFailed) }
        return connection
    }

    /// Runs SQL that may be several statements; see the callback version.
    package func execute(_ script: String) async throws(PostgresError) {
        let result = await withCheckedContinuation { continuation in
            execute(script) { continuation.resume(returning: $0) }
        }
        _ = try result.get()
    }

    /// Runs `body` between BEGIN and COMMIT, or ROLLBACK when it throws. The caller is the connection's only user: a
    /// command of somebody else would become part of the transaction.
    package func withTransaction<Value>(
        _ body: () async throws(PostgresError) -> Value
    ) async throws(PostgresError) -> Value {
        try await execute("BEGIN")
        let value: Value
        do {
            value = try await body()
        } catch {
            // A failed ROLLBACK means a lost connection, which rolls back as well.
            try? await execute("ROLLBACK")
            throw error
        }
        try await execute("COMMIT")
        return value
    }
}

/// Carries a connection, which never leaves its loop, around a continuation, which could.
private final class ConnectionBox {
    var connection: PostgresConnection?
}
