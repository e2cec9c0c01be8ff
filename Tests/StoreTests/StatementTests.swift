import Accounting
import Postgres
import Reactor
import Store
import TestSupport
import Testing

/// Twenty requests of one tenant, one a day from 2026-10-01 at 10:00 UTC, whose bill was made by hand.
@Suite struct StatementTests {
    let server: TemporaryPostgres
    let database: String

    init() async throws {
        server = try TemporaryPostgres.shared.get()
        database = try await server.makeMigratedDatabase()
        try server.sql(StatementTests.setUp, on: database)
        try server.sql((1...20).map(StatementTests.request).joined(separator: ";\n"), on: database)
    }

    /// `mini` becomes cheaper on the 16th, but then each attempt costs a tenth of a cent; `maxi` has no price of its
    /// own for cached tokens; `free` has no price at all.
    private static let setUp = """
        SELECT ensure_partitions(3, '2026-09-01');
        INSERT INTO tenants (id, name, created_at) VALUES
            ('01900000-0000-7000-8000-000000000001', 'acme', now()),
            ('01900000-0000-7000-8000-000000000002', 'other', now());
        INSERT INTO prices (model, effective_from, input, cached_input, cache_write, output, request, actor, reason) VALUES
            ('mini', '2026-10-01', 150000, 75000, NULL, 600000, NULL, 'test', ''),
            ('mini', '2026-10-16', 100000, 50000, 125000, 400000, 1000000000, 'test', ''),
            ('maxi', '2026-09-01', 2500000, NULL, NULL, 10000000, NULL, 'test', '');
        CREATE FUNCTION ask(tenant text, at timestamptz, number integer) RETURNS uuid LANGUAGE sql AS $$
            INSERT INTO usage_request_deltas SELECT t.id, date_trunc('hour', at, 'UTC'),
                '01900000-0000-7000-8000-00000000000a', 'relay', 'relay', '', 1, 0, 0, 0, 0, 0, 0
                FROM tenants t WHERE t.name = tenant;
            INSERT INTO requests (id, tenant_id, key_id, model, policy, policy_version, endpoint, is_stream, choices,
                started_at, finished_at, outcome, finish, calls, malformed, prompt_tokens, slm_tokens, llm_tokens,
                command_tokens, visible_tokens)
            SELECT (left(uuid7_bound(at)::text, 14) || '7000-8000-' || lpad(number::text, 12, '0'))::uuid, t.id,
                '01900000-0000-7000-8000-00000000000a', 'relay', 'relay', '1', 'chat', false, 1, at, at, 'completed',
                'stop', 0, 0, 0, 0, 0, 0, 0 FROM tenants t WHERE t.name = tenant RETURNING id
        $$;
        CREATE FUNCTION serve(asked uuid, seq integer, role text, name text, at timestamptz, prompt bigint,
            cached bigint, written bigint, generated bigint) RETURNS void LANGUAGE sql AS $$
            INSERT INTO segments (request_id, choice, seq, attempt, role, model, upstream, prompt_tokens, cached_tokens,
                cache_write_tokens, generated_tokens, command_tokens, source, command_source, finish, started_at,
                duration_us, price_id, cost_pico)
            SELECT asked, 0, seq, 1, role, name, 'u', prompt, cached, written, generated, 0, 'reported', 'counted',
                'stop', at, 1, p.price,
                CASE WHEN prompt IS NULL AND generated = 0 THEN 0 WHEN prompt IS NULL THEN NULL ELSE
                    (prompt - coalesce(cached, 0) - coalesce(written, 0)) * p.input
                    + coalesce(cached, 0) * coalesce(p.cached_input, p.input)
                    + coalesce(written, 0) * coalesce(p.cache_write, p.input)
                    + generated * p.output + coalesce(p.request, 0) END
            FROM (SELECT) d LEFT JOIN price_spans(ARRAY[name], ARRAY['u']) p ON at >= p.since AND at < p.until;
            INSERT INTO usage_segment_deltas SELECT r.tenant_id, date_trunc('hour', at, 'UTC'), r.key_id, r.model, r.policy,
                '', s.role, s.upstream, s.model, 1, s.generated_tokens, 0, coalesce(s.prompt_tokens, 0),
                coalesce(s.cached_tokens, 0), (s.prompt_tokens IS NULL)::int, coalesce(s.cost_pico, 0),
                (s.cost_pico IS NULL)::int
                FROM segments s JOIN requests r ON r.id = s.request_id WHERE s.request_id = asked AND s.seq = serve.seq
        $$;
        """

    private static func request(_ number: Int) -> String {
        let at = "'2026-10-\(number < 10 ? "0" : "")\(number) 10:00:00+00'"
        func serve(_ seq: Int, _ role: String, _ model: String, _ tokens: String) -> String {
            "PERFORM serve(r, \(seq), '\(role)', '\(model)', \(at), \(tokens));\n"
        }
        let cached = number.isMultiple(of: 2) ? "100" : "NULL"
        let written = number >= 16 ? "40" : "NULL"
        var text = serve(0, "slm", "mini", "\(1000 + number), \(cached), \(written), \(200 + number)")
        if number.isMultiple(of: 4) { text += serve(1, "llm", "maxi", "500, 200, NULL, 50") }
        if number == 5 || number == 15 { text += serve(1, "llm", "free", "300, NULL, NULL, 30") }
        // Not taken up by the server: costs nothing and is no attempt of the bill.
        if number == 10 { text += serve(1, "llm", "maxi", "NULL, NULL, NULL, 0") }
        // The server did not say what it read.
        if number == 19 { text += serve(1, "llm", "maxi", "NULL, NULL, NULL, 7") }
        return "DO $$ DECLARE r uuid := ask('acme', \(at), \(number)); BEGIN \(text) END $$"
    }

    private func statement(month: String = "2026-10", zone: String = "UTC") async throws -> MonthlyStatement {
        let database = self.database
        return try await onLoop { actor in
            let connection = try await PostgresConnection.connect(
                .patient(database), on: actor.loop)
            defer { connection.close() }
            // 2026-11-02 09:00 UTC.
            return try await StatementReader(connection) { Timestamp(microseconds: 1_793_610_000_000_000) }
                .statement(tenant: "acme", month: month, zone: zone, source: "primary")
        }
    }

    private typealias Item = MonthlyStatement.Item

    @Test func `the lines of twenty requests are what the price list makes of them`() async throws {
        let statement = try await statement()
        #expect(statement.requests == 20)
        #expect(statement.isOver)
        #expect(statement.from == "2026-10-01T00:00+00:00")
        #expect(statement.to == "2026-11-01T00:00+00:00")
        #expect(statement.lines.map(\.service.upstreamModel) == ["mini", "mini", "maxi"])
        #expect(statement.lines.map(\.service.role) == ["slm", "slm", "llm"])
        try #require(statement.lines.count == 3)

        // Days 1 to 15: they read 15 * 1000 + (1 + … + 15 = 120) = 15,120 tokens, of which 7 days had 100 cached ones:
        // 14,420 + 700. They wrote 15 * 200 + 120 = 3,120.
        let old = statement.lines[0]
        #expect(old.items.map(\.kind) == [.uncachedInput, .cachedInput, .output, .attempts])
        #expect(old.items.map(\.quantity) == [14_420, 700, 3120, 15])
        #expect(old.items.map(\.unitPico) == [150_000, 75_000, 600_000, 0])
        #expect(old.items.map(\.amountPico) == [2_163_000_000, 52_500_000, 1_872_000_000, 0])
        #expect(old.amountPico == 4_087_500_000)

        // Days 16 to 20: 5 * 1000 + (16 + … + 20 = 90) = 5,090, of which 3 * 100 cached and 5 * 40 written to the
        // cache: 4,590 + 300 + 200. They wrote 5 * 200 + 90 = 1,090.
        let new = statement.lines[1]
        #expect(new.items.map(\.kind) == [.uncachedInput, .cachedInput, .cacheWrite, .output, .attempts])
        #expect(new.items.map(\.quantity) == [4590, 300, 200, 1090, 5])
        #expect(new.items.map(\.unitPico) == [100_000, 50_000, 125_000, 400_000, 1_000_000_000])
        #expect(
            new.items.map(\.amountPico) == [459_000_000, 15_000_000, 25_000_000, 436_000_000, 5_000_000_000])
        #expect(new.amountPico == 5_935_000_000)

        // Days 4, 8, 12, 16, 20: 500 read, of which 200 cached at the price of the others; 50 written.
        let large = statement.lines[2]
        #expect(large.items.map(\.quantity) == [1500, 1000, 250, 5])
        #expect(large.items.map(\.amountPico) == [3_750_000_000, 2_500_000_000, 2_500_000_000, 0])

        // 4,087,500,000 + 5,935,000,000 + 8,750,000,000.
        #expect(statement.totalPico == 18_772_500_000)
        #expect(statement.json.contains(#""total_usd":"0.018772500000""#))
        // The ledger's own sum is the same.
        #expect(try server.sql("SELECT sum(cost_pico) FROM segments", on: database) == "18772500000")
    }

    @Test func `what has no price stands apart with its tokens`() async throws {
        let unpriced = try await statement().unpriced
        try #require(unpriced.map(\.service.upstreamModel) == ["free", "maxi"])
        // Days 5 and 15: 300 read and 30 written each.
        #expect(unpriced[0].attempts == 2)
        #expect([unpriced[0].uncachedInput, unpriced[0].output, unpriced[0].promptsUnknown] == [600, 60, 0])
        // Day 19: 7 written, nobody knows what was read.
        #expect(unpriced[1].attempts == 1)
        #expect([unpriced[1].uncachedInput, unpriced[1].output, unpriced[1].promptsUnknown] == [0, 7, 1])
    }

    @Test func `a month is that of the tenant's clocks and of nobody else`() async throws {
        // October in Berlin is from 22:00 UTC of September 30 to 23:00 UTC of October 31.
        let cases = [
            ("acme", "2026-09-30 21:59:59.999+00", 31), ("acme", "2026-09-30 22:00:00+00", 32),
            ("acme", "2026-10-31 22:59:59.999+00", 33), ("acme", "2026-10-31 23:00:00+00", 34),
            ("other", "2026-10-10 10:00:00+00", 35),
        ]
        for (tenant, at, number) in cases {
            try server.sql(
                "SELECT serve(ask('\(tenant)', '\(at)', \(number)), 0, 'llm', 'maxi', '\(at)', 1, NULL, NULL, 0)",
                on: database)
        }
        // Each of them costs one token: 2,500,000.
        let utc = try await statement()
        #expect(utc.totalPico == 18_772_500_000 + 2 * 2_500_000)
        #expect(utc.requests == 22)
        let berlin = try await statement(zone: "Europe/Berlin")
        #expect(berlin.totalPico == 18_772_500_000 + 2 * 2_500_000)
        #expect(berlin.from == "2026-10-01T00:00+02:00")
        #expect(berlin.to == "2026-11-01T00:00+01:00")
        // Both of September are in UTC's; the first alone is in Berlin's.
        #expect(try await statement(month: "2026-09").totalPico == 2 * 2_500_000)
        #expect(try await statement(month: "2026-09", zone: "Europe/Berlin").totalPico == 2_500_000)
        // It is November 2.
        let november = try await statement(month: "2026-11", zone: "Europe/Berlin")
        #expect(november.totalPico == 2_500_000)
        #expect(!november.isOver)
    }

    @Test func `a month can be named from today, in the tenant's zone`() async throws {
        let last = try await statement(month: "last-month", zone: "Europe/Berlin")
        #expect([last.month, last.from] == ["2026-10", "2026-10-01T00:00+02:00"])
        #expect(last.totalPico == 18_772_500_000)
        #expect(try await statement(month: "this-month").month == "2026-11")
    }

    @Test func `a month that has not begun is refused`() async throws {
        let error = await #expect(throws: StoreError.self) { _ = try await statement(month: "2026-12") }
        #expect(error?.code == .invalid)
        #expect(error?.description == "month: 2026-12 has not begun in UTC; name one that has, such as last-month")
    }

    @Test func `a ledger that its prices do not explain makes no statement`() async throws {
        try server.sql(
            """
            SELECT ask('acme', '2026-10-03 11:00+00', 40);
            INSERT INTO segments (request_id, choice, seq, attempt, role, model, upstream, prompt_tokens, generated_tokens,
                command_tokens, source, command_source, finish, started_at, duration_us, price_id, cost_pico)
            SELECT r.id, 0, 0, 1, 'slm', 'mini', 'u', 1, 0, 0, 'reported', 'counted', 'stop', r.started_at, 1, 1, 150001
            FROM requests r WHERE r.started_at = '2026-10-03 11:00+00'
            """, on: database)
        let error = await #expect(throws: StoreError.self) { _ = try await statement() }
        #expect(error?.code == .database)
        // 4,087,500,000 and one token of 150,000, one pico-dollar too much.
        #expect(error?.description.contains("$ 0.004087650001") == true)
        #expect(error?.description.contains("$ 0.004087650000") == true)
    }

    @Test func `no statement is made of a month whose requests were pruned`() async throws {
        try server.sql(
            "SELECT detach_month(p, '2026-10-01Z', 'test') FROM unnest(ARRAY['requests', 'segments']) p", on: database)
        // November begins in Berlin at 23:00 UTC of October 31; September ends in New York at 04:00 UTC of October 1.
        let cases = [
            ("2026-10", "UTC"), ("2026-10", "Europe/Berlin"), ("2026-11", "Europe/Berlin"),
            ("2026-09", "America/New_York"),
        ]
        for (month, zone) in cases {
            let error = await #expect(throws: StoreError.self) { _ = try await statement(month: month, zone: zone) }
            #expect(error?.code == .pruned)
            #expect(error?.description.hasPrefix("requests of 2026-10 (UTC) were pruned, ") == true)
        }
        let error = await #expect(throws: StoreError.self) { _ = try await statement(zone: "Europe/Berlin") }
        #expect(
            error?.description.hasSuffix(
                "`relaygate usage --tenant acme --from 2026-10-01 --to 2026-11-01 --timezone Europe/Berlin`") == true)
        // The months beside it are not touched.
        #expect(try await statement(month: "2026-11").requests == 0)
        #expect(try await statement(month: "2026-09", zone: "Europe/Berlin").requests == 0)
    }

    @Test func `nothing is missing of a pruned month that had no requests`() async throws {
        try server.sql(
            "SELECT detach_month(p, '2026-09-01Z', 'test') FROM unnest(ARRAY['requests', 'segments']) p", on: database)
        // October begins in Berlin on September 30.
        #expect(try await statement(zone: "Europe/Berlin").totalPico == 18_772_500_000)
    }

    /// 20 requests have 20 attempts of `mini`, 5 of `maxi` on days 4, 8, …, 2 of `free`, and those of days 10 and 19:
    /// 29, of which 2 + 1 have no price.
    @Test(arguments: [
        (
            "UPDATE usage_request_deltas SET requests = 2 WHERE hour = '2026-10-03 10:00Z'",
            "21 request(s), 29 attempt(s)"
        ),
        ("DELETE FROM usage_segment_deltas WHERE hour = '2026-10-03 10:00Z'", "20 request(s), 28 attempt(s)"),
        (
            "UPDATE usage_segment_deltas SET cost_pico = cost_pico + 1 WHERE hour = '2026-10-03 10:00Z'",
            "29 attempt(s) and $ 0.018772500001, 3 without"
        ),
        (
            "UPDATE usage_segment_deltas SET unpriced = 1 WHERE hour = '2026-10-03 10:00Z'",
            "29 attempt(s) and $ 0.018772500000, 4 without"
        ),
    ])
    func `a statement is that of the tables of hours or none`(_ damage: String, _ counted: String) async throws {
        #expect(try await statement().requests == 20)
        try server.sql(damage, on: database)
        let error = await #expect(throws: StoreError.self) { _ = try await statement() }
        #expect(error?.code == .database)
        let ledger = "the ledger has 20 request(s), 29 attempt(s) and $ 0.018772500000, 3 without a price, but usage "
        #expect(error?.description.hasPrefix(ledger) == true)
        #expect(error?.description.contains(counted) == true)
        #expect(error?.description.contains("`relaygate audit`") == true)
    }

    @Test func `a partition that was dropped by hand is missed`() async throws {
        try server.sql("DROP TABLE requests_2026_10", on: database)
        let error = await #expect(throws: StoreError.self) { _ = try await statement() }
        #expect(error?.description.contains("usage counted 20 request(s)") == true)
    }

    @Test func `pruned months are named in ranges`() {
        // 2025-11-01, 2025-12-01, 2026-01-01 and 2026-03-01, UTC.
        let starts = [1_761_955_200, 1_764_547_200, 1_767_225_600, 1_772_323_200].map {
            Timestamp(microseconds: $0 * 1_000_000)
        }
        #expect(PrunedMonths(starts: starts).text == "2025-11 to 2026-01, 2026-03")
        #expect(PrunedMonths(starts: []).warning == nil)
    }

    @Test(arguments: ["2026", "2026-13", "2026-1", "26-10", "2026-10-01", "october", "2026-00", "today", "-7d"])
    func `what is no month is refused`(_ month: String) async throws {
        let error = await #expect(throws: StoreError.self) { _ = try await statement(month: month) }
        #expect(error?.description == "month: must be a year and a month, such as 2026-10, or this-month or last-month")
    }

    @Test func `budgets stand with the windows that began in the month`() async throws {
        try server.sql(
            """
            SELECT set_budget('01900000-0000-7000-8000-0000000000b1', '01900000-0000-7000-8000-000000000001', NULL, 'daily',
                'llm_tokens', 'generated', 'day', 100, 'degrade', true, 'leased', '{}', 'test', '');
            ALTER TABLE budget_windows DISABLE TRIGGER USER;
            INSERT INTO budget_windows (budget_id, window_start, window_end, amount, cap, charged, state)
            SELECT '01900000-0000-7000-8000-0000000000b1', d, d + interval '1 day', 100, 100, c, 'closed'
            FROM (VALUES ('2026-09-30'::timestamptz, 50), ('2026-10-01', 100), ('2026-10-02', 30), ('2026-11-01', 9))
                AS v (d, c);
            """, on: database)
        let budgets = try await statement().budgets
        try #require(budgets.count == 1)
        #expect(budgets[0].name == "daily")
        #expect(budgets[0].used == 130)
        #expect([budgets[0].windows, budgets[0].windowsUsedUp, budgets[0].amount] == [2, 1, 100])
    }
}
