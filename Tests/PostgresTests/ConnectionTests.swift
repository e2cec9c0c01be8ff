import Accounting
import Postgres
import Reactor
import TestSupport
import Testing

@Suite struct PostgresConnectionTests {
    let server: TemporaryPostgres
    let database: String

    init() throws {
        server = try TemporaryPostgres.shared.get()
        database = try server.makeDatabase()
    }

    private func withConnection<Value: Sendable>(
        _ configuration: PostgresConfiguration? = nil,
        _ body: @Sendable (isolated LoopActor, PostgresConnection) async throws -> Value
    ) async throws -> Value {
        let configuration = configuration ?? .patient(database)
        return try await onLoop { actor in
            let connection = try await PostgresConnection.connect(configuration, on: actor.loop)
            defer { connection.close() }
            return try await body(actor, connection)
        }
    }

    @Test func `every type comes back as it was bound, NULL included`() async throws {
        let uuid = UUID7(high: 0x0123_4567_89AB_7DEF, low: 0x8123_4567_89AB_CDEF)
        try await withConnection { _, connection in
            let row = try await connection.query(
                """
                SELECT $1::bool AS b, $2::int4 AS i4, $3::int8 AS i8, $4::float8 AS f, $5::text AS t, $6::bytea AS y,
                    $7::uuid AS u, $8::timestamptz AS ts, $9::text AS missing, $7::uuid::text AS ut,
                    to_char($8::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') AS tst
                """,
                [
                    .bool(true), .int4(Int32.min), .int8(Int64.max), .float8(-0.5), .text("ä\u{1F600}"),
                    .bytea([0, 255, 0]), .uuid(uuid), .timestamp(Timestamp(microseconds: 1)), .text(nil),
                ]
            ).single()
            #expect(try row.bool("b"))
            #expect(try row.int("i4") == Int(Int32.min))
            #expect(try row.int("i8") == Int.max)
            #expect(try row.double("f") == -0.5)
            #expect(try row.text("t") == "ä\u{1F600}")
            #expect(try row.bytes("y") == [0, 255, 0])
            #expect(try row.uuid("u") == uuid)
            #expect(try row.text("ut") == uuid.description)
            #expect(try row.timestamp("ts") == Timestamp(microseconds: 1))
            #expect(try row.text("tst") == "1970-01-01 00:00:00.000001")
            #expect(try row.optionalText("missing") == nil)
        }
    }

    @Test func `arrays of every type come back, with NULL elements and empty`() async throws {
        let uuid = UUID7(high: 1, low: 2)
        try await withConnection { _, connection in
            let row = try await connection.query(
                """
                SELECT $1::bool[] AS b, $2::int4[] AS i4, $3::int8[] AS i8, $4::float8[] AS f, $5::text[] AS t,
                    $6::bytea[] AS y, $7::uuid[] AS u, $8::timestamptz[] AS ts, $9::int8[] AS none,
                    $3::int8[]::text AS x
                """,
                [
                    .bools([true, nil, false]), .int4s([1, nil]), .int8s([-1, nil, 3]), .float8s([1.5, nil]),
                    .texts(["", nil, "x,\"y"]), .byteas([[], nil, [0]]), .uuids([uuid, nil]),
                    .timestamps([Timestamp(microseconds: 7), nil]), .int8s([]),
                ]
            ).single()
            #expect(try row.bools("b") == [true, nil, false])
            #expect(try row.int4s("i4") == [1, nil])
            #expect(try row.ints("i8") == [-1, nil, 3])
            #expect(try row.text("x") == "{-1,NULL,3}")
            #expect(try row.doubles("f") == [1.5, nil])
            #expect(try row.texts("t") == ["", nil, "x,\"y"])
            #expect(try row.byteArrays("y") == [[], nil, [0]])
            #expect(try row.uuids("u") == [uuid, nil])
            #expect(try row.timestamps("ts") == [Timestamp(microseconds: 7), nil])
            #expect(try row.ints("none") == [])
        }
    }

    @Test func `a missing column, another type and NULL are errors, not traps`() async throws {
        try await withConnection { _, connection in
            let row = try await connection.query(
                "SELECT 'x'::text AS t, NULL::int8 AS n, '{{1,2},{3,4}}'::int8[] AS matrix", []
            ).single()
            #expect(throws: PostgresError.self) { try row.int("absent") }
            #expect(throws: PostgresError.self) { try row.int("t") }
            #expect(throws: PostgresError.self) { try row.int("n") }
            #expect(throws: PostgresError.self) { try row.ints("matrix") }
            let rows = try await connection.query("SELECT 1 AS x WHERE false", [])
            #expect(throws: PostgresError.self) { try rows.single() }
        }
    }

    @Test func `an error in a pipeline fails its own command only`() async throws {
        let results = try await withConnection { actor, connection in
            await withCheckedContinuation { (continuation: CheckedContinuation<[String], Never>) in
                var results: [String] = []
                let take: (Result<PostgresRows, PostgresError>) -> Void = { result in
                    switch result {
                    case .success(let rows): results.append((try? rows.single().int("x")).map(String.init) ?? "?")
                    case .failure(let error): results.append(error.sqlState ?? error.code.rawValue)
                    }
                    if results.count == 5 { continuation.resume(returning: results) }
                }
                connection.query("SELECT 1::int8 AS x", [], take)
                connection.query("SELECT 1 / ($1::int8) AS x", [.int8(0)], take)
                connection.query("SELECT $1::int8 AS x", [.int8(3)], take)
                connection.query("SELECT no_such_column AS x", [], take)
                connection.query("SELECT $1::int8 AS x", [.int8(5)], take)
            }
        }
        // 22012 is division_by_zero, 42703 undefined_column.
        #expect(results == ["1", "22012", "3", "42703", "5"])
    }

    @Test func `a statement is prepared once, and again after its preparation failed`() async throws {
        try await withConnection { _, connection in
            func count() async throws(PostgresError) -> Int {
                try await connection.query("SELECT count(*) AS n FROM late", []).single().int("n")
            }
            let early = await failure { () async throws(PostgresError) in _ = try await count() }
            #expect(early?.sqlState == "42P01")
            try await connection.execute("CREATE TABLE late (); INSERT INTO late DEFAULT VALUES")
            for _ in 0..<3 { #expect(try await count() == 1) }
            let names = try await connection.query(
                "SELECT count(*) AS n FROM pg_prepared_statements WHERE statement = 'SELECT count(*) AS n FROM late'",
                [])
            #expect(try names.single().int("n") == 1)
        }
    }

    @Test func `ten thousand pipelined commands and a megabyte come back in order`() async throws {
        let sum = try await withConnection { _, connection in
            let text = String(repeating: "x", count: 1 << 20)
            let row = try await connection.query("SELECT $1::text AS t", [.text(text)]).single()
            #expect(try row.text("t").utf8.count == 1 << 20)
            return await withCheckedContinuation { (continuation: CheckedContinuation<Int, Never>) in
                var next = 0
                for index in 0..<4000 {
                    connection.query("SELECT $1::int8 AS x, $2::text AS filler", [.int(index), .text("y")]) { result in
                        if (try? result.get().single().int("x")) == next { next += 1 }
                        if index == 3999 { continuation.resume(returning: next) }
                    }
                }
            }
        }
        #expect(sum == 4000)
    }

    @Test func `the queue has a bound`() async throws {
        let codes = try await withConnection(
            PostgresConfiguration(connection: database, pipelineLimit: 1, queueLimit: 2)
        ) { _, connection in
            await withCheckedContinuation { (continuation: CheckedContinuation<[PostgresError.Code?], Never>) in
                var codes: [PostgresError.Code?] = []
                for _ in 0..<4 {
                    connection.query("SELECT 1::int8 AS x", []) { result in
                        if case .failure(let error) = result { codes.append(error.code) } else { codes.append(nil) }
                        if codes.count == 4 { continuation.resume(returning: codes) }
                    }
                }
            }
        }
        // One on its way and two waiting: the fourth is refused.
        #expect(codes.count { $0 == nil } == 3)
        #expect(codes.count { $0 == .queueFull } == 1)
    }

    @Test func `statement timeout, transactions and notices`() async throws {
        try await withConnection(PostgresConfiguration(connection: database, statementTimeout: .seconds(2))) {
            actor, connection in
            let slow = await failure { () async throws(PostgresError) in
                _ = try await connection.query("SELECT pg_sleep(30)", [])
            }
            #expect(slow?.sqlState == "57014")
            try await connection.execute("CREATE TABLE t (x int8)")
            let failed = await failure { () async throws(PostgresError) in
                try await connection.withTransaction { () async throws(PostgresError) in
                    _ = try await connection.query("INSERT INTO t VALUES ($1)", [.int8(1)])
                    _ = try await connection.query("SELECT 1 / $1::int8", [.int8(0)])
                }
            }
            #expect(failed?.sqlState == "22012")
            #expect(try await connection.query("SELECT count(*) AS n FROM t", []).single().int("n") == 0)
            var notices: [String] = []
            connection.onNotice = { notices.append("\($0) \($1)") }
            try await connection.execute("DO $$ BEGIN RAISE WARNING 'mind the gap'; END $$")
            #expect(notices.count == 1 && notices[0].contains("mind the gap") && notices[0].hasPrefix("01000"))
        }
    }

    @Test func `a command whose session was ended says that its outcome is unknown, those behind it not sent`()
        async throws
    {
        let database = self.database
        let server = self.server
        let outcomes = try await withConnection(
            PostgresConfiguration(connection: database, application: "victim", pipelineLimit: 1)
        ) { actor, connection in
            await withCheckedContinuation { (continuation: CheckedContinuation<[PostgresError.Outcome?], Never>) in
                var outcomes: [PostgresError.Outcome?] = []
                for _ in 0..<2 {
                    connection.query("SELECT pg_sleep(20)", []) { result in
                        if case .failure(let error) = result {
                            outcomes.append(error.outcome)
                        } else {
                            outcomes.append(nil)
                        }
                        if outcomes.count == 2 { continuation.resume(returning: outcomes) }
                    }
                }
                actor.loop.schedule(after: .milliseconds(100)) {
                    _ = try? server.sql(
                        """
                        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                        WHERE application_name = 'victim' AND datname = current_database()
                        """, on: database)
                }
            }
        }
        #expect(outcomes == [.unknown, .notSent])
    }

    @Test func `a hung server is given up by the client's own clock`() async throws {
        let error = try await withConnection(
            PostgresConfiguration(connection: database, answerTimeout: .milliseconds(200))
        ) { _, connection in
            await failure { () async throws(PostgresError) in _ = try await connection.query("SELECT pg_sleep(20)", [])
            }
        }
        #expect(error?.code == .timedOut)
        #expect(error?.outcome == .unknown)
    }

    @Test(arguments: ["host=/nonexistent", "this is no connection string", "host=127.0.0.1 port=1"])
    func `a connection that cannot be made fails with a safe description`(_ text: String) async throws {
        let error = await #expect(throws: PostgresError.self) {
            try await onLoop { actor in
                _ = try await PostgresConnection.connect(PostgresConfiguration(connection: text), on: actor.loop)
            }
        }
        #expect(error?.code == .connectFailed)
        #expect(error?.description == "database error connect_failed")
    }
}

/// The error of `body`, which stays on the caller's loop; the closure of `#expect(throws:)` would not.
private func failure(_ body: () async throws(PostgresError) -> Void) async -> PostgresError? {
    do {
        try await body()
        return nil
    } catch { return error }
}
