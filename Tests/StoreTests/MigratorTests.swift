import Migrations
import Postgres
import Reactor
import Store
import TestSupport
import Testing

@Suite struct MigratorTests {
    let server: TemporaryPostgres
    let database: String

    init() throws {
        server = try TemporaryPostgres.shared.get()
        database = try server.makeDatabase()
    }

    private func migrate(_ migrations: [Migration] = Migrations.all) async throws -> [Int] {
        let database = self.database
        return try await onLoop { actor in
            let connection = try await PostgresConnection.connect(
                .patient(database), on: actor.loop)
            defer { connection.close() }
            return try await Migrator(connection, migrations: migrations).apply().map(\.version)
        }
    }

    private func status(_ migrations: [Migration] = Migrations.all) async throws -> [MigrationStatus] {
        let database = self.database
        return try await onLoop { actor in
            let connection = try await PostgresConnection.connect(
                .patient(database), on: actor.loop)
            defer { connection.close() }
            return try await Migrator(connection, migrations: migrations).status()
        }
    }

    @Test func `a fresh database gets every migration once, and nothing the second time`() async throws {
        let before = try await status()
        #expect(before.allSatisfy { $0.state == .pending })
        let first = try await migrate()
        let second = try await migrate()
        #expect(first == Migrations.all.map(\.version))
        #expect(second == [])
        for line in try await status() {
            guard case .applied = line.state else {
                Issue.record("migration \(line.version) is \(line.state)")
                continue
            }
        }
    }

    @Test func `two migrators at once apply each migration once`() async throws {
        async let first = migrate()
        async let second = migrate()
        let (one, two) = try await (first, second)
        #expect((one + two).sorted() == Migrations.all.map(\.version))
    }

    @Test func `a changed migration is refused and nothing more is applied`() async throws {
        _ = try await migrate()
        let first = Migration(version: 1, name: "control", sql: Migrations.all[0].sql + Array("-- more".utf8))
        let changed = [first] + Migrations.all.dropFirst()
        let error = await #expect(throws: StoreError.self) { _ = try await migrate(changed) }
        #expect(error?.code == .drift)
        #expect(error?.description.contains("migration 1 (control)") == true)
        #expect(try server.sql("SELECT count(*) FROM schema_migrations", on: database) == "\(Migrations.all.count)")
        let state = try await status(changed)[0].state
        #expect(state == .changed)
    }

    @Test func `a database that is newer than the program is refused`() async throws {
        _ = try await migrate()
        let older = Array(Migrations.all.dropLast())
        let error = await #expect(throws: StoreError.self) { _ = try await migrate(older) }
        #expect(error?.code == .drift)
        #expect(error?.description.contains("does not know") == true)
        let state = try await status(older).last?.state
        #expect(state == .unknown)
    }

    @Test func `a migration that is missing in the middle is refused`() async throws {
        _ = try await migrate()
        try server.sql("DELETE FROM schema_migrations WHERE version = 2", on: database)
        let error = await #expect(throws: StoreError.self) { _ = try await migrate() }
        #expect(error?.code == .drift)
        #expect(error?.description.contains("migration 2 is missing") == true)
    }

    @Test func `a migration that fails leaves nothing behind`() async throws {
        let broken =
            Migrations.all + [
                Migration(
                    version: Migrations.all.count + 1, name: "broken", sql: Array("CREATE TABLE x (); SELECT 1/0".utf8))
            ]
        let error = await #expect(throws: StoreError.self) { _ = try await migrate(broken) }
        #expect(error?.cause?.sqlState == "22012")
        #expect(try server.sql("SELECT to_regclass('x') IS NULL", on: database) == "t")
        #expect(try server.sql("SELECT count(*) FROM schema_migrations", on: database) == "\(Migrations.all.count)")
    }

    @Test func `who owns the database needs no more rights than that`() async throws {
        let role = "owner_\(UInt32.random(in: .min ... .max))"
        try server.sql("CREATE ROLE \(role) LOGIN NOSUPERUSER", on: database)
        let name = try server.sql("SELECT current_database()", on: database)
        try server.sql("ALTER DATABASE \(name) OWNER TO \(role)", on: database)
        try server.sql("ALTER SCHEMA public OWNER TO \(role)", on: database)
        let owned = database.replacing("user=postgres", with: "user=\(role)")
        try await onLoop { actor in
            let connection = try await PostgresConnection.connect(
                .patient(owned), on: actor.loop)
            defer { connection.close() }
            _ = try await Migrator(connection).apply()
        }
        // Functions that keep counters work for it, and nobody's hand does.
        try server.sql(
            """
            INSERT INTO tenants (id, name, created_at) VALUES (gen_random_uuid(), 'acme', now());
            SELECT set_budget(gen_random_uuid(), (SELECT id FROM tenants), NULL, 'b', 'llm_tokens', 'generated', 'day', 10,
                'degrade', true, 'leased', '{}', 'test', '');
            SELECT register_gateway('01900000-0000-7000-8000-000000000001', 'test', '0')
            """, on: owned)
        #expect(
            try server.sql(
                """
                SELECT state, granted FROM grant_tokens('01900000-0000-7000-8000-000000000001', gen_random_uuid(), 0,
                    (SELECT id FROM budgets), 'leased', '{4}', 0, false)
                """, on: owned) == "granted|4")
        #expect(throws: TemporaryPostgres.Failure.self) {
            try server.sql("UPDATE budget_windows SET leased = 0", on: owned)
        }
    }

    @Test func `partitions exist for this month and the months ahead, and can be made for others`() async throws {
        _ = try await migrate()
        #expect(try server.sql("SELECT ensure_partitions(3)", on: database) == "0")
        // Two months of four tables.
        #expect(try server.sql("SELECT ensure_partitions(1, '2031-05-15Z')", on: database) == "8")
        // 2031-06-01 00:00 UTC is 1,938,038,400 s, in milliseconds 1,938,038,400,000 = 0x1c33c172400.
        #expect(
            try server.sql("SELECT uuid7_bound('2031-06-01Z')", on: database)
                == "01c33c17-2400-0000-0000-000000000000")
    }

    @Test(arguments: ["UPDATE requests SET calls = 1", "DELETE FROM requests", "TRUNCATE requests"])
    func `requests are append-only`(_ change: String) async throws {
        _ = try await migrate()
        try server.sql(
            """
            INSERT INTO requests (id, tenant_id, key_id, model, policy, policy_version, endpoint, is_stream, choices,
                started_at, finished_at, outcome, finish, calls, malformed, prompt_tokens, slm_tokens, llm_tokens,
                command_tokens, visible_tokens)
            SELECT uuid7_bound(now()), uuid7_bound(now()), uuid7_bound(now()), 'm', 'relay', '1', 'chat', false, 1,
                now(), now(), 'completed', 'stop', 0, 0, 0, 0, 0, 0, 0
            """, on: database)
        #expect(throws: TemporaryPostgres.Failure.self) { try server.sql(change, on: database) }
        #expect(try server.sql("SELECT count(*) FROM requests", on: database) == "1")
    }
}
