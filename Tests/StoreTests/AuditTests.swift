import Accounting
import Postgres
import Reactor
import Store
import TestSupport
import Testing

/// The invariants of `broken_invariants`: quiet on a sound database, and each of them loud when its fact is broken.
@Suite struct AuditTests {
    let database: BudgetDatabase

    /// One lease that is open, one that expired, one that is closed, a strict intent, an adjustment and two charges.
    init() async throws {
        database = try await BudgetDatabase()
        try database.set(1000)
        #expect(try database.grant(10, 0, [30]) == "granted|30|970")
        #expect(try database.grant(11, 0, [30]) == "granted|30|940")
        #expect(try database.intent(10, request: 0, reserved: 10) == "1")
        try await database.charge(0, [(lease: 10, reserved: 10, charged: 7)])
        try await database.charge(1, [(lease: 11, reserved: 10, charged: 7)])
        #expect(try database.giveBack(11, 1, 23, closes: true) == "done")
        // The budget is leased, so the intent frees nothing: 30 - 7 are in doubt.
        #expect(try database.reap() == "1|1|23")
        let other = BudgetDatabase.id(101)
        try database.register(other)
        // 1000 - 7 - 7 - 23 - 50.
        #expect(try database.grant(12, 0, [50], by: other) == "granted|50|913")
        try database.sql("SELECT adjust_budget('\(database.budget)', 'charged', 5, NULL, 'tester', 'a test')")
    }

    @Test func `a sound database breaks none`() async throws {
        #expect(try database.broken() == "")
        let findings = try await audit(tenant: nil)
        #expect(findings.map(\.invariant.name) == (1...15).map { "I\($0)" })
        #expect(findings.allSatisfy { $0.count == 0 })
    }

    @Test(arguments: [
        // Beyond the cap: charged is 7 + 7 + 5; with that many the window's other sums are wrong too.
        ("I1,I5", "UPDATE budget_windows SET charged = 5000"),
        ("I2", "UPDATE budget_windows SET leased = leased + 1"),
        ("I3,I4,I5", "UPDATE leases SET settled = settled + 1 WHERE state = 'closed'"),
        ("I3,I12", "UPDATE leases SET granted = granted + 1 WHERE state = 'expired'"),
        ("I4", "UPDATE leases SET settled = settled + 1 WHERE state = 'open'"),
        ("I5", "UPDATE budget_windows SET unreconciled = unreconciled - 1"),
        ("I5", "DELETE FROM budget_adjustments"),
        ("I6", "UPDATE requests SET llm_tokens = llm_tokens + 1 WHERE id = (SELECT min(id::text)::uuid FROM requests)"),
        ("I6,I8", "DELETE FROM requests"),
        ("I6,I8,I9", "DELETE FROM segments WHERE seq = 1"),
        ("I7", "UPDATE charges SET tenant_id = gen_random_uuid()"),
        ("I4,I7", "UPDATE charges SET lease_id = gen_random_uuid()"),
        (
            "I14",
            "INSERT INTO budgets SELECT gen_random_uuid(), tenant_id, key_id, 'other', resource, counts, \"window\", "
                + "amount, on_exhausted, clamps, mode, thresholds, state, '2020-01-01' FROM budgets"
        ),
        ("I15", "UPDATE budgets SET amount = amount + 1"),
        ("I8", "UPDATE usage_segment_deltas SET generated_tokens = generated_tokens + 1"),
        ("I8", "UPDATE usage_request_deltas SET requests = requests + 1"),
        ("I4,I9", "UPDATE charges SET charged = 30, overrun = 20"),
        ("I9", "UPDATE charges SET reserved = 3, overrun = 0"),
        (
            "I10",
            """
            UPDATE gateways SET heartbeat_at = now() - interval '1 hour';
            INSERT INTO gateways
            VALUES (gen_random_uuid(), 'other', '0', 'live', now() - interval '1 hour', now() + interval '1 hour')
            """
        ),
        // Nobody was there to close them.
        ("", "UPDATE gateways SET heartbeat_at = now() - interval '1 hour'"),
        ("I11", "UPDATE gateways SET state = 'stopped'"),
        ("I12", "UPDATE lease_events SET tokens = tokens + 1 WHERE kind = 'grant'"),
        (
            "I13",
            "INSERT INTO intents SELECT gen_random_uuid(), 0, 0, 1, id, 1, now() FROM leases WHERE state = 'closed'"
        ),
    ])
    func `a broken fact is named`(names: String, damage: String) async throws {
        try database.sql(
            """
            SET session_replication_role = replica;
            ALTER TABLE budget_windows DROP CONSTRAINT budget_windows_not_overspent;
            ALTER TABLE leases DROP CONSTRAINT leases_not_overspent, DROP CONSTRAINT leases_explained;
            ALTER TABLE charges DROP CONSTRAINT charges_check;
            \(damage)
            """)
        let found = try database.broken().split(separator: ",").map(String.init)
        #expect(Set(found) == Set(names.split(separator: ",").map(String.init)), "\(damage)")
        let findings = try await audit(tenant: nil)
        #expect(Set(findings.filter { $0.count ?? 0 > 0 }.map(\.invariant.name)) == Set(found))
        #expect(findings.allSatisfy { $0.count == 0 || !$0.samples.isEmpty })
    }

    @Test(arguments: [
        "UPDATE usage_requests SET calls = calls + 1", "UPDATE usage_requests SET failed = failed + 1",
        "UPDATE usage_requests SET llm_tokens = llm_tokens + 1, slm_tokens = slm_tokens - 1",
        "UPDATE usage_requests SET cost_pico = cost_pico + 1", "DELETE FROM usage_requests",
        "UPDATE usage_segments SET cached_tokens = cached_tokens + 1", "DELETE FROM usage_segments WHERE role = 'llm'",
        "UPDATE usage_request_days SET durations = durations + 1", "DELETE FROM usage_request_days",
        "UPDATE usage_request_days SET day = day - interval '1 day'",
        "UPDATE usage_segment_days SET unpriced = unpriced + 1", "UPDATE usage_segment_days SET upstream = 'other'",
        "INSERT INTO usage_segment_days SELECT tenant_id, day - interval '1 day', key_id, model, policy, tags, role, "
            + "upstream, upstream_model, 1, 1, 1, 1, 1, 1, 1, 1 FROM usage_segment_days",
    ])
    func `sums by the hour and by the day that differ are found`(damage: String) async throws {
        try database.sql("SELECT compact_usage()")
        #expect(try database.broken() == "")
        try database.sql(damage)
        #expect(try database.broken() == "I8")
    }

    @Test func `an audit of another tenant does not see it`() async throws {
        try database.sql("INSERT INTO tenants (id, name, created_at) VALUES (gen_random_uuid(), 'other', now())")
        try database.sql("SET session_replication_role = replica; UPDATE budget_windows SET leased = leased + 1")
        #expect(try await audit(tenant: "acme").filter { $0.count ?? 0 > 0 }.map(\.invariant.name) == ["I2"])
        #expect(try await audit(tenant: "other").allSatisfy { $0.count == 0 })
    }

    private func audit(tenant: String?) async throws -> [AuditFinding] {
        let url = database.url
        return try await onLoop { actor in
            let connection = try await PostgresConnection.connect(
                .patient(url), on: actor.loop)
            defer { connection.close() }
            return try await Audit.run(connection, tenant: tenant, window: nil)
        }
    }
}
