/// What can answer a statement: one connection, or a pool of them. *Loop thread.*
package protocol PostgresDatabase: AnyObject {
    /// Sends a statement. `completion` is called on the loop, once, and never before this returns.
    func query(
        _ statement: PostgresStatement, _ binds: [PostgresValue],
        _ completion: @escaping (Result<PostgresRows, PostgresError>) -> Void)
}

extension PostgresDatabase {
    /// Sends a statement and waits for its rows; stays on the caller's loop.
    package func query(
        _ statement: PostgresStatement, _ binds: [PostgresValue] = []
    ) async throws(PostgresError) -> PostgresRows {
        let result = await withCheckedContinuation { continuation in
            query(statement, binds) { continuation.resume(returning: $0) }
        }
        return try result.get()
    }
}
