import Postgres
import Reactor
import TestSupport
import Testing

/// A connection that a test moves forward by hand, one statement after the other, beside other ones.
final class PostgresSession: Sendable {
    private let thread: LoopThread
    private let connection: LoopBound<PostgresConnection>

    init(_ url: String) async throws {
        thread = try LoopThread.start(name: "session") { _ in nil }
        connection = try await LoopActor(thread.loop).run { actor in
            let made = try await PostgresConnection.connect(PostgresConfiguration(connection: url), on: actor.loop)
            return LoopBound(made, on: actor.loop)
        }
    }

    deinit {
        thread.loop.post { [thread, connection] in
            connection.value.close()
            thread.loop.stop()
        }
        thread.join()
    }

    /// Runs SQL, `BEGIN` and `COMMIT` included, and returns when it is done.
    func run(_ sql: String) async throws {
        try await LoopActor(thread.loop).run { _ in try await self.connection.value.execute(sql) }
    }
}

extension BudgetDatabase {
    /// Returns when so many connections of the database wait for a lock; after twenty seconds the test has failed.
    func wait(forBlocked count: Int) async throws {
        let blocked = """
            SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
            """
        for _ in 0..<2000 {
            if try sql(blocked) == "\(count)" { return }
            try await Task.sleep(for: .milliseconds(10))
        }
        #expect(try sql(blocked) == "\(count)", "connections that wait for a lock")
    }
}
