import Postgres
import Reactor
import TestSupport
import Testing

/// The server is broken here, so it is not the shared one.
@Suite struct PostgresPoolTests {
    @Test func `a pool connects again after a crash, and says what it knows of the commands in between`() async throws {
        let server = try TemporaryPostgres()
        let database = try server.makeDatabase()
        try await onLoop { actor in
            let pool = PostgresPool(
                PostgresConfiguration(connection: database), size: 3, on: actor.loop, waitLimit: .seconds(1),
                random: { 0 })
            defer { pool.close() }
            // Waits for the first connection.
            #expect(try await pool.query("SELECT 1::int8 AS x").single().int("x") == 1)
            try server.crash()
            var codes: Set<PostgresError.Code> = []
            for _ in 0..<4 {
                do throws(PostgresError) { _ = try await pool.query("SELECT 1::int8 AS x") } catch {
                    codes.insert(error.code)
                }
            }
            // The loss is seen by the first commands; the others wait in vain for a connection.
            #expect(codes.isSubset(of: [.connectionLost, .timedOut]))
            #expect(codes.contains(.timedOut))
            #expect(pool.readyCount == 0)
            #expect(pool.lastError?.code == .connectFailed)
            try server.start()
            var answer = 0
            for _ in 0..<20 where answer == 0 {
                answer = (try? await pool.query("SELECT 7::int8 AS x").single().int("x")) ?? 0
            }
            #expect(answer == 7)
        }
    }

    @Test func `a closed pool refuses`() async throws {
        try await onLoop { actor in
            let pool = PostgresPool(
                PostgresConfiguration(connection: "host=/nonexistent"), size: 1, on: actor.loop, random: { 0 })
            pool.close()
            var code: PostgresError.Code?
            do throws(PostgresError) { _ = try await pool.query("SELECT 1 AS x") } catch { code = error.code }
            #expect(code == .closed)
        }
    }

    @Test(arguments: [(0, 50), (1, 100), (3, 400), (6, 2000), (100, 2000)])
    func `a pause is between half and all of 50 ms doubled per attempt, at most two seconds`(
        _ attempt: Int, _ most: Int
    ) {
        for random in [0, 1, 999, UInt64.max] {
            let delay = Backoff.delay(attempt: attempt, random: random)
            #expect(delay >= .milliseconds(most / 2) && delay <= .milliseconds(most))
        }
    }
}
