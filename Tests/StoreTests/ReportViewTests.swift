import TestSupport
import Testing

/// What the views of the schema `report` say of rows that are there.
@Suite struct ReportViewTests {
    let database: MeteredDatabase

    init() async throws { database = try await MeteredDatabase() }

    @Test func `usage by the hour adds what is compacted and what is not, and knows names`() throws {
        let (acme, key) = (MeteredDatabase.acme, MeteredDatabase.key)
        for (table, cost) in [
            ("usage_segments", "1000000000000"), ("usage_segment_deltas", "9000000000000000000"),
            ("usage_segment_deltas", "9000000000000000001"),
        ] {
            try database.sql(
                """
                INSERT INTO \(table) VALUES ('\(acme)', '2026-11-01 10:00Z', '\(key)', 'relay', 'relay', '{"team": "a"}', 'llm',
                    'large', 'big', 1, 2, 3, 4, 5, 6, \(cost), 7);
                """)
        }
        try database.sql(
            """
            INSERT INTO usage_segments VALUES ('\(acme)', '2026-11-01 11:00Z', '\(key)', 'relay', 'relay', '', 'slm', 's',
                'small', 1, 1, 1, 1, 1, 1, 0, 0)
            """)
        let found = try database.sql(
            """
            SELECT extract(hour FROM hour AT TIME ZONE 'UTC'), tenant, key, tags ->> 'team', tags = '{}', segments,
                generated_tokens, command_tokens, prompt_tokens, cached_tokens, prompts_unknown, trim_scale(cost_dollars),
                unpriced
            FROM report.usage_by_hour ORDER BY hour
            """)
        // Three times 1, 2, 3, 4, 5, 6 and 7; 1 + 9,000,000 + 9,000,000.000000000001 dollars.
        #expect(
            found == """
                10|acme|AcmeAcmeAcme|a|f|3|6|9|12|15|18|18000001.000000000001|21
                11|acme|AcmeAcmeAcme||t|1|1|1|1|1|1|0|0
                """)
    }

    @Test func `requests by the hour add up, latencies too`() throws {
        let (acme, key) = (MeteredDatabase.acme, MeteredDatabase.key)
        // Latencies of 1 to 100 ms, one request each: the even ones are added up already.
        for rest in [0, 1] {
            if rest == 1 { try database.sql("SELECT compact_usage()") }
            try database.sql(
                """
                INSERT INTO usage_request_deltas SELECT '\(acme)', '2026-11-01 10:00Z', '\(key)', 'relay', 'relay', '', 50, 1, 2, 3, 4,
                    sum(latency_unit(latency_bucket(ms * interval '1 ms'))), 0 FROM generate_series(1, 100) ms WHERE ms % 2 = \(rest)
                """)
        }
        #expect(
            try database.sql(
                "SELECT tenant, key, requests, degraded, failed, calls, visible_tokens, tags FROM report.requests_by_hour"
            )
                == "acme|AcmeAcmeAcme|100|2|4|6|8|{}")
        // The share q of them takes at most 100 * q ms; the answer is within the eighth root of two, 1.0905.
        for (share, milliseconds) in [(0.01, 1.0), (0.1, 10.0), (0.5, 50.0), (0.95, 95.0), (1.0, 100.0)] {
            let text = try database.sql("SELECT report.latency_ms(durations, \(share)) FROM report.requests_by_hour")
            let found = try #require(Double(text))
            #expect(found / milliseconds < 1.0906 && milliseconds / found < 1.0906, "\(share): \(found)")
        }
        #expect(
            try database.sql("SELECT report.latency_ms(first_tokens, 0.5) IS NULL FROM report.requests_by_hour") == "t")
    }

    @Test(arguments: [
        // One latency: every share of it is that one, in the middle of its bucket, 2^(k - 0.5)/4 with k of
        // 2^((k - 1) / 4) <= ms; below 1 ms 0.5; 99 is the last bucket: 2^(98.5 / 4).
        ("0", 0.5), ("999", 0.5), ("1000", 1.0905077326652577), ("16000", 17.448123722644123),
        ("999999999999", 25_874_004.13540731),
    ])
    func `a single latency is found whatever the share`(microseconds: String, expected: Double) throws {
        for share in ["0", "0.5", "1", "-1", "2"] {
            let text = try database.sql(
                "SELECT report.latency_ms(latency_unit(latency_bucket(\(microseconds) * interval '1 us')), \(share))")
            let found = try #require(Double(text))
            #expect(abs(found - expected) / expected < 0.000001, "\(found)")
        }
    }

    @Test func `requests and segments have names, dollars and no text`() throws {
        try database.add(
            1, at: "2026-11-01 10:00Z",
            [
                .init(prompt: 10, generated: 2, cost: 1), .init(prompt: nil, generated: 0, cost: nil),
                .init(prompt: 10, generated: 2, cost: nil), .init(prompt: 5, generated: 1, cost: 2_500_000_000_000),
            ])
        try database.add(2, at: "2026-11-02 10:00Z", [.init(prompt: 1, cost: nil)])
        // 2.5 dollars and one pico-dollar; the attempt that was not served is not unpriced.
        #expect(
            try database.sql(
                "SELECT tenant, key, model, tags ->> 'team', cost_dollars, unpriced FROM report.requests ORDER BY id")
                == "acme|AcmeAcmeAcme|relay|a|2.500000000001|1\nacme|AcmeAcmeAcme|relay|a||1")
        #expect(
            try database.sql(
                "SELECT seq, tenant, key, model, upstream_model, cost_dollars FROM report.segments ORDER BY request_id, seq"
            )
                == """
                0|acme|AcmeAcmeAcme|relay|big|0.000000000001
                1|acme|AcmeAcmeAcme|relay|big|
                2|acme|AcmeAcmeAcme|relay|big|
                3|acme|AcmeAcmeAcme|relay|big|2.500000000000
                0|acme|AcmeAcmeAcme|relay|big|
                """)
        #expect(
            try database.sql("SELECT count(*) FROM report.requests WHERE id >= report.first_id('2026-11-02 10:00Z')")
                == "1")
        #expect(
            try database.sql("SELECT count(*) FROM report.requests WHERE id < report.first_id('2026-11-01 10:00Z')")
                == "0")
    }

    @Test func `prices are dollars, with the time they end`() throws {
        try database.sql(
            """
            INSERT INTO prices (model, upstream, effective_from, input, cached_input, output, request, actor, reason) VALUES
                ('m', '', '2026-01-01Z', 2500000, 1, 10000000, 1000000000, 'ada', 'r'),
                ('m', '', '2026-02-01Z', NULL, NULL, NULL, NULL, 'ada', ''),
                ('m', 'u', '2026-01-15Z', 0, NULL, 0, NULL, 'ada', '')
            """)
        let found = try database.sql(
            """
            SELECT model, upstream IS NULL, extract(day FROM effective_from AT TIME ZONE 'UTC'),
                extract(month FROM effective_to AT TIME ZONE 'UTC'), trim_scale(input), trim_scale(cached_input), cache_write,
                trim_scale(output), trim_scale(request)
            FROM report.prices ORDER BY effective_from
            """)
        // 2,500,000 pico-dollars a token are 2.5 dollars a million; 10^9 pico-dollars are 0.001 dollars.
        #expect(found == "m|t|1|2|2.5|0.000001||10|0.001\nm|f|15||0|||0|\nm|t|1||||||")
    }

    @Test func `of each source the latest verdict counts`() throws {
        try database.add(1, at: "2026-11-01 10:00Z", [.init(prompt: 1)])
        try database.sql(
            """
            INSERT INTO verdicts (request_id, choice, tenant_id, source, verdict, judged_at, note)
            SELECT id, v.choice, tenant_id, v.source, v.verdict, v.at::timestamptz, 'secret' FROM requests, (VALUES
                (0, 'grader', 1, '2026-11-02Z'), (0, 'grader', 0, '2026-11-01Z'), (1, 'grader', 0.5, '2026-11-01Z'),
                (0, 'user', 0, '2026-11-03Z')) v (choice, source, verdict, at)
            """)
        #expect(
            try database.sql(
                """
                SELECT choice, tenant, source, verdict, extract(day FROM judged_at AT TIME ZONE 'UTC') FROM report.verdicts
                ORDER BY source, choice
                """) == "0|acme|grader|1|2\n1|acme|grader|0.5|1\n0|acme|user|0|3")
        #expect(try database.sql("SELECT v.* FROM report.verdicts v").contains("secret") == false)
    }

    @Test func `refusals have names`() throws {
        try database.sql(
            """
            INSERT INTO usage_refusals VALUES ('\(MeteredDatabase.acme)', '2026-11-01 10:00Z', '\(MeteredDatabase.key)', 'relay',
                'rate_limit_exceeded', 3)
            """)
        #expect(
            try database.sql("SELECT tenant, key, model, code, requests FROM report.refusals")
                == "acme|AcmeAcmeAcme|relay|rate_limit_exceeded|3")
    }

    @Test func `budgets show the current window of those in force`() async throws {
        let database = try await BudgetDatabase()
        try database.set(1000)
        #expect(try database.grant(10, 0, [30]) == "granted|30|970")
        #expect(
            try database.sql(
                """
                SELECT tenant, key, name, resource, "window", amount, used, held, remaining FROM report.budgets
                """) == "acme||b2|llm_tokens|day|1000|0|30|970")
        // The day after nothing of it is used, and the old window is still there.
        let tomorrow = "SET relaygate.clock_offset = '1 day'; "
        #expect(try database.sql(tomorrow + "SELECT held, remaining FROM report.budgets") == "0|1000")
        #expect(
            try database.sql(
                tomorrow + "SELECT is_current, held, state FROM report.budget_windows ORDER BY window_start")
                == "f|30|active\nt|0|active")
        try database.sql("SELECT remove_budget('\(database.budget)', 'tester', '')")
        #expect(try database.sql("SELECT count(*) FROM report.budgets") == "0")
        #expect(try database.sql("SELECT count(*) FROM report.budget_windows WHERE state = 'removed'") == "1")
    }
}
