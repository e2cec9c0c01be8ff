import Accounting
import Postgres
import Reactor
import Store
import TestSupport
import Testing

/// What pruning takes, what it leaves, and that an audit stays right about both.
@Suite struct RetentionTests {
    let database: BudgetDatabase
    /// 2025-03-15, 2025-04-15 and 2025-05-15, each at 12:00 UTC.
    static let months: [Int64] = [1_742_040_000_000_000, 1_744_718_400_000_000, 1_747_310_400_000_000]

    /// Four requests in each of three months, with text; one lease pays for a request in each of the first two.
    init() async throws {
        database = try await BudgetDatabase()
        for day in ["2025-03-01Z", "2025-04-01Z", "2025-05-01Z"] {
            try database.sql("SELECT ensure_partitions(0, '\(day)')")
        }
        try database.set(1000)
        #expect(try database.grant(10, 0, [100]) == "granted|100|900")
        let writer = try LedgerWriter.start(LedgerConfiguration(connection: database.url))
        for (month, start) in Self.months.enumerated() {
            for number in 0..<4 {
                var record = Self.record(start, number, tenant: database.tenant)
                record.payloads = [PayloadRecord(part: "prompt", sha256: SHA256.digest([1]), body: [1])]
                if number == 0, month < 2 {
                    record.segments[1].charges = [
                        ChargeRecord(
                            lease: BudgetDatabase.id(10), budget: database.budget, reserved: 9, charged: 7)
                    ]
                }
                writer.append(record) { _ in }
            }
        }
        #expect(await writer.flush(within: .seconds(60)))
        #expect(writer.statistics.requests == 12 && writer.statistics.deadLetters == 0, "\(writer.statistics)")
        writer.stop()
        // 100 granted, 2 * 7 used. The window was today's; it has to have been one of March 2025 for the test.
        #expect(try database.giveBack(10, 1, 86, closes: true) == "done")
    }

    /// As the fixture's, at another time.
    static func record(_ start: Int64, _ number: Int, tenant: UUID7) -> RequestRecord {
        var fixture = LedgerFixture()
        fixture.tenant = tenant
        var record = fixture.record(number)
        let started = Timestamp(microseconds: start + Int64(number) * 1000)
        record.id = UUID7(high: UInt64(started.microseconds / 1000) << 16 | 0x7000, low: 1 << 63 | UInt64(number))
        record.started = started
        record.finished = Timestamp(microseconds: started.microseconds + 500)
        for index in record.segments.indices { record.segments[index].started = started }
        record.tags = [RequestTag(key: "user", value: number < 2 ? "alice" : "bob")]
        return record
    }

    private func use<Value: Sendable>(
        _ body: @Sendable (PostgresConnection) async throws -> Value
    ) async throws -> Value {
        let url = database.url
        return try await onLoop { actor in
            let connection = try await PostgresConnection.connect(
                .patient(url), on: actor.loop)
            defer { connection.close() }
            return try await body(connection)
        }
    }

    private func prune(_ settings: RetentionSettings, dryRun: Bool = false) async throws -> [RetentionStep] {
        try await use { try await Retention($0, actor: "tester").prune(settings, isDryRun: dryRun) }
    }

    /// Rows of the ledger's tables, as `requests|segments|charges|payloads`.
    private func counts() throws -> String {
        try database.sql(
            """
            SELECT (SELECT count(*) FROM requests), (SELECT count(*) FROM segments), (SELECT count(*) FROM charges),
                (SELECT count(*) FROM payloads)
            """)
    }

    /// The days from a moment to now.
    private func days(since microseconds: Int64) throws -> Int {
        Int(try database.sql("SELECT floor(extract(epoch FROM now()) - \(microseconds / 1_000_000))::bigint / 86400"))
            ?? 0
    }

    /// A retention that March 2025 is over, April not: 2025-04-20 is 19 days after March's end, and April goes on.
    private func onlyMarch() throws -> RetentionSettings {
        RetentionSettings(segments: .seconds(86_400 * (try days(since: 1_745_107_200_000_000))))
    }

    @Test func `the whole of a month goes, and the audit holds`() async throws {
        #expect(try counts() == "12|36|2|12")
        #expect(try database.broken() == "")
        let steps = try await prune(try onlyMarch())
        let march = Timestamp(microseconds: 1_740_787_200_000_000)
        #expect(
            steps == [
                RetentionStep(what: "requests", month: march, rows: 4, outcome: .pruned),
                RetentionStep(what: "segments", month: march, rows: 12, outcome: .pruned),
                RetentionStep(what: "charges", month: march, rows: 1, outcome: .pruned),
                RetentionStep(what: "payloads", month: march, rows: 4, outcome: .pruned),
            ])
        #expect(try counts() == "8|24|1|8")
        #expect(try database.broken() == "")
        #expect(try database.sql("SELECT charged FROM pruned_charges") == "7")
        #expect(try database.sql("SELECT to_regclass('segments_2025_03') IS NULL") == "t")
        // The usage of March stays: 4 requests of the 12.
        #expect(try database.sql("SELECT sum(requests) FROM usage_of_requests") == "12")
        #expect(
            try database.sql("SELECT count(*), bool_and(dropped_at IS NOT NULL), max(actor) FROM pruned_partitions")
                == "4|t|tester")
        // A second time there is nothing to do.
        #expect(try await prune(try onlyMarch()) == [])
    }

    @Test func `a dry run takes nothing`() async throws {
        // Nothing was analysed yet: rows are counted, not estimated.
        let steps = try await prune(try onlyMarch(), dryRun: true)
        #expect(steps.map(\.what) == ["requests", "segments", "charges", "payloads"])
        #expect(steps.map(\.rows) == [4, 12, 1, 4])
        #expect(steps.allSatisfy { $0.outcome == .due })
        #expect(try counts() == "12|36|2|12")
    }

    @Test(arguments: [
        ("I4", "UPDATE charges SET charged = 8, reserved = 8"), ("I4", "UPDATE pruned_charges SET charged = 6"),
        ("I4,I7", "UPDATE charges SET lease_id = gen_random_uuid()"),
        ("I6", "UPDATE requests SET llm_tokens = 8 WHERE id = (SELECT min(id::text)::uuid FROM requests)"),
        ("I6,I8", "DELETE FROM segments WHERE seq = 2"), ("I6,I8", "DELETE FROM requests"),
        ("I8", "UPDATE usage_segment_deltas SET generated_tokens = 0 WHERE hour >= '2025-04-01Z'"),
        ("I8", "UPDATE usage_request_deltas SET requests = 9 WHERE hour >= '2025-04-01Z'"),
        // What explains nothing any more is no finding.
        ("", "UPDATE usage_segment_deltas SET generated_tokens = 0 WHERE hour < '2025-04-01Z'"),
        // Sums are kept for ever, and held against each other in pruned months too.
        (
            "I8",
            "SELECT compact_usage(); UPDATE usage_request_days SET requests = requests + 1 WHERE day < '2025-04-01Z'"
        ),
        ("I8", "SELECT compact_usage(); UPDATE usage_segments SET segments = segments + 1 WHERE hour < '2025-04-01Z'"),
        ("I9", "UPDATE charges SET reserved = 3, overrun = 0"),
        ("I12", "UPDATE lease_events SET tokens = tokens + 1 WHERE kind = 'grant'"),
    ])
    func `corruption of what is kept is still found`(names: String, damage: String) async throws {
        _ = try await prune(try onlyMarch())
        try database.sql(
            """
            SET session_replication_role = replica;
            ALTER TABLE charges DROP CONSTRAINT charges_check;
            \(damage)
            """)
        #expect(try database.broken() == names)
    }

    @Test func `without the record of what was pruned the audit would cry`() async throws {
        _ = try await prune(try onlyMarch())
        try database.sql("DELETE FROM pruned_charges; DELETE FROM pruned_partitions")
        // The lease has settled 14 and its charges are 7; the usage of March has no segments.
        #expect(try database.broken() == "I4,I8")
    }

    @Test(arguments: [
        // The current month's window overlaps no month of 2025.
        ("month", "", 4), ("day", "UPDATE leases SET state = 'open'", 4),
        // A fixed budget that was made in March 2025 counts from then on.
        ("fixed", "UPDATE budgets SET created_at = '2025-03-20Z'", 0),
        ("fixed", "UPDATE budgets SET created_at = '2025-04-20Z'", 4),
        // A fixed budget that was removed has no current window, unless a lease is open.
        ("fixed", "UPDATE budgets SET created_at = '2025-03-20Z', state = 'removed'", 4),
        (
            "fixed",
            """
            UPDATE budgets SET created_at = '2025-03-20Z', state = 'removed';
            UPDATE leases SET state = 'open' WHERE window_start = '1970-01-01Z'
            """, 0
        ),
        // A week that began in March.
        (
            "week",
            """
            INSERT INTO budget_windows (budget_id, window_start, window_end, amount, cap, leased)
                SELECT id, '2025-03-31Z', '2025-04-07Z', 1000, 1000, 10 FROM budgets WHERE "window" = 'week';
            INSERT INTO leases (id, gateway_id, budget_id, window_start, mode, granted, opened_at)
                SELECT gen_random_uuid(), g.id, b.id, '2025-03-31Z', 'leased', 10, now() FROM gateways g, budgets b
                WHERE b."window" = 'week';
            """, 0
        ),
    ])
    func `a month that a budget needs is kept`(window: String, change: String, rows: Int) async throws {
        let other = BudgetDatabase.id(3)
        try database.set(50, window: window, id: other)
        #expect(try database.grant(20, 0, [10], of: other) == "granted|10|40")
        #expect(try database.giveBack(20, 1, 10, closes: true) == "done")
        try database.sql("SET session_replication_role = replica; \(change)")
        let steps = try await prune(try onlyMarch())
        #expect(steps.first?.rows == rows)
        guard rows == 0 else { return }
        guard case .kept(let reason) = steps.first?.outcome else {
            Issue.record("\(steps)")
            return
        }
        #expect(steps.count == 1)
        #expect(reason.hasPrefix("budget b3 of tenant acme "), "\(reason)")
        #expect(try counts() == "12|36|2|12")
        // Nor by hand.
        #expect(throws: TemporaryPostgres.Failure.self) {
            try database.sql("SELECT prune_month('2025-03-01Z', 'tester')")
        }
    }

    @Test(arguments: ["2025-03-02Z", "2035-03-01Z"]) func `what is no past month is refused`(moment: String) throws {
        #expect(throws: TemporaryPostgres.Failure.self) {
            try database.sql("SELECT prune_month('\(moment)', 'tester')")
        }
    }

    @Test func `text goes earlier and alone`() async throws {
        // The 2nd request of April began a millisecond after the first; what is older than its text goes.
        let keep = try database.sql(
            "SELECT floor(extract(epoch FROM now()))::bigint - \(Self.months[1] / 1_000_000) - 3600")
        let settings = RetentionSettings(payloads: .seconds(try #require(Int(keep))))
        let due = try await prune(settings, dryRun: true)
        #expect(due == [RetentionStep(what: "payloads", month: nil, rows: 8, outcome: .due)])
        let steps = try await prune(settings)
        let march = Timestamp(microseconds: 1_740_787_200_000_000)
        // March as a whole, of April the rows.
        #expect(
            steps == [
                RetentionStep(what: "payloads", month: march, rows: 4, outcome: .pruned),
                RetentionStep(what: "payloads", month: nil, rows: 4, outcome: .pruned),
            ])
        #expect(try counts() == "12|36|2|4")
        #expect(try database.broken() == "")
    }

    @Test func `dead letters that leases paid for stay as long as their charges`() async throws {
        let id = Self.record(Self.months[0], 0, tenant: database.tenant).id
        try database.sql(
            """
            INSERT INTO dead_letters (request_id, sqlstate, record, created_at) VALUES
                ('\(id)', '22000', '{}', now() - interval '9 days'),
                (gen_random_uuid(), '22000', '{}', now() - interval '9 days'),
                (gen_random_uuid(), '22000', '{}', now() - interval '7 days')
            """)
        let settings = RetentionSettings(deadLetters: .seconds(8 * 86_400))
        #expect(try await prune(settings).map(\.rows) == [1])
        #expect(try database.sql("SELECT count(*) FROM dead_letters") == "2")
        _ = try await prune(try onlyMarch())
        #expect(try await prune(settings).map(\.rows) == [1])
    }

    @Test func `a dry run counts what goes with a month once, and what its charges had kept`() async throws {
        let id = Self.record(Self.months[0], 0, tenant: database.tenant).id
        try database.sql(
            "INSERT INTO dead_letters (request_id, sqlstate, record, created_at) VALUES ('\(id)', '', '{}', '2025-03-15Z')"
        )
        var settings = try onlyMarch()
        (settings.payloads, settings.deadLetters) = (settings.segments, settings.segments)
        let due = try await prune(settings, dryRun: true)
        // Payloads are kept as long as April the 20th, so those of April the 15th go as rows.
        let sums = ["requests": 4, "segments": 12, "charges": 1, "payloads": 8, "dead_letters": 1]
        for steps in [due, try await prune(settings)] {
            #expect(Dictionary(steps.map { ($0.what, $0.rows) }, uniquingKeysWith: +) == sums)
        }
    }

    @Test func `events of closed leases go, and the audit holds`() async throws {
        #expect(try database.grant(11, 0, [5]) == "granted|5|981")
        try database.sql(
            """
            SET relaygate.writer = 'on';
            UPDATE leases SET closed_at = closed_at - interval '9 days' WHERE state = 'closed'
            """)
        // A grant and a close.
        #expect(try await prune(RetentionSettings(leaseEvents: .seconds(8 * 86_400))).map(\.rows) == [2])
        #expect(try database.sql("SELECT count(*) FROM lease_events") == "1")
        #expect(try database.broken() == "")
        // Of the open lease they are still held against it.
        try database.sql("DELETE FROM lease_events")
        #expect(try database.broken() == "I12")
    }

    @Test func `two do not prune at a time`() async throws {
        let settings = try onlyMarch()
        let url = database.url
        let error = try await onLoop { actor in
            let first = try await PostgresConnection.connect(.patient(url), on: actor.loop)
            let second = try await PostgresConnection.connect(.patient(url), on: actor.loop)
            defer {
                first.close()
                second.close()
            }
            try await first.execute("BEGIN; SELECT pg_advisory_xact_lock(7236837482961127)")
            do {
                _ = try await Retention(second, actor: "tester").prune(settings, isDryRun: false)
                return "none"
            } catch {
                return (error as? StoreError)?.description ?? "\(error)"
            }
        }
        #expect(error == "the ledger is busy: another process prunes it or holds a lock")
        #expect(try counts() == "12|36|2|12")
    }

    @Test func `a lock that somebody holds is not waited for long`() async throws {
        let settings = try onlyMarch()
        let url = database.url
        let (error, took) = try await onLoop { actor in
            let first = try await PostgresConnection.connect(.patient(url), on: actor.loop)
            let second = try await PostgresConnection.connect(.patient(url), on: actor.loop)
            defer {
                first.close()
                second.close()
            }
            // A reader, in a transaction that does not end.
            try await first.execute("BEGIN; SELECT count(*) FROM segments")
            let began = ContinuousClock.now
            do {
                _ = try await Retention(second, actor: "tester").prune(settings, isDryRun: false)
                return ("none", Duration.zero)
            } catch {
                return ((error as? StoreError)?.code.rawValue ?? "\(error)", ContinuousClock.now - began)
            }
        }
        #expect(error == "unavailable")
        // lock_timeout is 2 s; the rest is a machine that does other things, too. Without it this would wait for ever.
        #expect(took < .seconds(60), "\(took)")
        // All or nothing.
        #expect(try counts() == "12|36|2|12")
        #expect(try database.sql("SELECT count(*) FROM pruned_partitions") == "0")
    }

    @Test func `the status says what needs a person`() async throws {
        let sound = try await use { try await LedgerStatus.read($0) }
        #expect(sound.complaints == [])
        #expect(sound.monthsAhead == 3)
        #expect(sound.oldest == Timestamp(microseconds: Self.months[0]))
        // March, April, May of 2025, this month and three ahead, and DEFAULT.
        #expect(sound.sizes.filter { $0.table == "segments" }.count == 8)
        #expect(sound.deltas == 12 + 36 || sound.deltas < 48)
        // 1970: before every month.
        let writer = try LedgerWriter.start(LedgerConfiguration(connection: database.url))
        writer.append(Self.record(1_000_000_000_000, 1, tenant: database.tenant)) { _ in }
        #expect(await writer.flush(within: .seconds(60)))
        writer.stop()
        let after = try await use { try await LedgerStatus.read($0) }
        #expect(after.defaultRows.map(\.rows) == [1, 3, 0, 0])
        #expect(after.complaints.count == 2)
        #expect(try await use { try await LedgerStatus.defaultRows($0) } == 4)
    }
}
