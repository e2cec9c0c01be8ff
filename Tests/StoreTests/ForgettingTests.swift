import Accounting
import Postgres
import Reactor
import Store
import TestSupport
import Testing

/// What forgetting takes, and that counts stay.
@Suite struct ForgettingTests {
    let database: BudgetDatabase
    /// 2025-03-15 12:00 UTC.
    static let start: Int64 = 1_742_040_000_000_000

    /// Four requests of acme, two of them alice's and two bob's, and one of another tenant's alice; all with text, a
    /// tag and a verdict with a note. The usage of two is added up, that of the others waits.
    init() async throws {
        database = try await BudgetDatabase()
        let other = BudgetDatabase.id(50)
        try database.sql(
            "INSERT INTO tenants (id, name, created_at, tag_keys) VALUES ('\(other)', 'other', now(), '{team,user}')")
        for (numbers, tenant) in [([0, 2], database.tenant), ([1, 3], database.tenant), ([1], other)] {
            let writer = try LedgerWriter.start(LedgerConfiguration(connection: database.url))
            for number in numbers {
                var record = RetentionTests.record(
                    Self.start + (tenant == other ? 60_000_000 : 0), number, tenant: tenant)
                record.payloads = [PayloadRecord(part: "prompt", sha256: SHA256.digest([1]), body: [1])]
                writer.append(record) { _ in }
            }
            #expect(await writer.flush(within: .seconds(60)))
            writer.stop()
            if numbers == [0, 2] { try database.sql("SELECT compact_usage()") }
        }
        try database.sql(
            """
            INSERT INTO verdicts (request_id, tenant_id, source, verdict, judged_at, note)
                SELECT id, tenant_id, 'people', 1, now(), 'said ' || (tags ->> 'user') FROM requests;
            INSERT INTO dead_letters (request_id, sqlstate, record) VALUES
                (gen_random_uuid(), '22000', '{"id":"1","tenant_id":"\(database.tenant)","tags":{"user":"alice"}}'),
                (gen_random_uuid(), '22000', '{"id":"2","tenant_id":"\(database.tenant)","tags":{"user":"bob"}}'),
                (gen_random_uuid(), '22000',
                    '{"id":"3","tenant_id":"\(other)","tags":{"user":"alice","tenant_id":"\(database.tenant)"}}')
            """)
    }

    private func forget(user: String?) async throws -> ForgettingCounts {
        let url = database.url
        return try await onLoop { actor in
            let connection = try await PostgresConnection.connect(
                .patient(url), on: actor.loop)
            defer { connection.close() }
            return try await Forgetting(connection).forget(
                tenant: "acme", user: user, actor: "tester", reason: "asked for"
            ) { _ in }
        }
    }

    /// Every row that holds a word, over all tables that could.
    private func places(of word: String, tenant: UUID7) throws -> String {
        try database.sql(
            """
            SELECT string_agg(DISTINCT place, ',') FROM (
                SELECT 'requests' AS place FROM requests WHERE tenant_id = '\(tenant)' AND tags::text LIKE '%\(word)%'
                UNION ALL SELECT 'verdicts' FROM verdicts WHERE tenant_id = '\(tenant)' AND note LIKE '%\(word)%'
                UNION ALL SELECT 'usage' FROM usage_of_requests WHERE tenant_id = '\(tenant)' AND tags LIKE '%\(word)%'
                UNION ALL SELECT 'usage' FROM usage_of_segments WHERE tenant_id = '\(tenant)' AND tags LIKE '%\(word)%'
                UNION ALL SELECT 'usage' FROM usage_request_days WHERE tenant_id = '\(tenant)' AND tags LIKE '%\(word)%'
                UNION ALL SELECT 'usage' FROM usage_segment_days WHERE tenant_id = '\(tenant)' AND tags LIKE '%\(word)%'
                UNION ALL SELECT 'values' FROM tag_values WHERE tenant_id = '\(tenant)' AND value LIKE '%\(word)%'
                UNION ALL SELECT 'letters' FROM dead_letters
                    WHERE left(record, 60) LIKE '%\(tenant)%' AND record LIKE '%\(word)%'
                UNION ALL SELECT 'forgettings' FROM forgettings f WHERE f::text LIKE '%\(word)%') p
            """)
    }

    private static let everywhere = "letters,requests,usage,values,verdicts"

    @Test func `one user is forgotten, the others are not`() async throws {
        let before = try database.sql("SELECT sum(requests), sum(durations) FROM usage_of_requests")
        #expect(try places(of: "alice", tenant: database.tenant) == Self.everywhere)
        let counts = try await forget(user: "alice")
        // Two requests with a text and a note each. The usage of one was added up: a row of requests and, by role and
        // model, two of segments; the other's deltas are as many.
        #expect(
            counts == ForgettingCounts(requests: 2, payloads: 2, notes: 2, usageRows: 6, deadLetters: 1))
        #expect(try places(of: "alice", tenant: database.tenant) == "")
        #expect(try places(of: "bob", tenant: database.tenant) == Self.everywhere)
        #expect(try places(of: "alice", tenant: BudgetDatabase.id(50)) == Self.everywhere)
        #expect(try database.sql("SELECT count(*) FROM payloads") == "3")
        // Counts stay.
        #expect(try database.sql("SELECT sum(requests), sum(durations) FROM usage_of_requests") == before)
        #expect(try database.broken() == "")
        try database.sql("SELECT compact_usage()")
        #expect(try database.broken() == "")
        // Added up, the days have all five requests again.
        #expect(try database.sql("SELECT sum(requests), sum(durations) FROM usage_request_days") == before)
        #expect(
            try database.sql(
                "SELECT encode(user_sha256, 'hex'), actor, reason, finished_at IS NOT NULL FROM forgettings")
                == "\(SHA256.hexadecimal(SHA256.digest(Array("alice".utf8))))|tester|asked for|t")
        // Again, there is nothing left.
        #expect(try await forget(user: "alice") == ForgettingCounts())
    }

    @Test func `a whole tenant is forgotten`() async throws {
        let counts = try await forget(user: nil)
        #expect(counts == ForgettingCounts(requests: 4, payloads: 4, notes: 4, usageRows: 12, deadLetters: 2))
        for word in ["alice", "bob"] {
            #expect(try places(of: word, tenant: database.tenant) == "")
            #expect(try places(of: "alice", tenant: BudgetDatabase.id(50)) == Self.everywhere)
        }
        #expect(try database.sql("SELECT count(*) FROM requests WHERE tenant_id = '\(database.tenant)'") == "4")
        #expect(try database.broken() == "")
    }

    @Test(arguments: [
        "UPDATE requests SET tags = '{}'", "UPDATE verdicts SET note = ''",
        "SET relaygate.forgetting = 'on'; UPDATE requests SET tags = '{\"user\":\"eve\"}'",
        "SET relaygate.forgetting = 'on'; UPDATE requests SET tags = '{}', calls = 9",
        "SET relaygate.forgetting = 'on'; DELETE FROM requests",
        "SET relaygate.forgetting = 'on'; UPDATE verdicts SET verdict = 0, note = ''",
        "SET relaygate.forgetting = 'on'; UPDATE segments SET upstream = ''",
    ])
    func `nothing else opens with it`(change: String) throws {
        #expect(throws: TemporaryPostgres.Failure.self, "\(change)") { try database.sql(change) }
    }
}
