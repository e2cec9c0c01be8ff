import Accounting
import Postgres
import Reactor
import Store
import TestSupport
import Testing

/// Forgetting and what is still on its way: requests in a gateway's queue, in its spool, in a transaction that runs.
@Suite struct LateForgettingTests {
    let database: BudgetDatabase

    init() async throws { database = try await BudgetDatabase() }

    /// A request of a user, with a text and its hash.
    private func record(_ number: Int, _ user: String, at start: Int64 = ForgettingTests.start) -> RequestRecord {
        var record = RetentionTests.record(start, number, tenant: database.tenant)
        record.tags = [RequestTag(key: "team", value: "blue"), RequestTag(key: "user", value: user)]
        record.payloads = [PayloadRecord(part: "prompt", sha256: SHA256.digest([1]), body: [1])]
        return record
    }

    /// Users of the ledger's requests with their texts: `alice 1` is a request of alice's with a text, ` 0` one that
    /// says neither.
    private func requests() throws -> String {
        try database.sql(
            """
            SELECT string_agg(r.text, ',' ORDER BY r.id) FROM (
                SELECT r.id, concat(r.tags ->> 'user', ' ', count(p)) AS text
                FROM requests r LEFT JOIN payloads p ON p.request_id = r.id GROUP BY r.id) r
            """)
    }

    /// What usage tells apart, with its requests and the tokens of its segments, and the values that it has seen.
    private func usage() throws -> String {
        try database.sql(
            """
            SELECT string_agg(concat(tags, ' ', requests), ';' ORDER BY tags) FROM (
                SELECT tags, sum(requests) AS requests FROM usage_of_requests GROUP BY tags) u;
            SELECT string_agg(concat(tags, ' ', tokens), ';' ORDER BY tags) FROM (
                SELECT tags, sum(generated_tokens) AS tokens FROM usage_of_segments GROUP BY tags) u;
            SELECT string_agg(value, ',' ORDER BY value) FROM tag_values
            """)
    }

    private func start(spool: SpoolPlace? = nil) throws -> LedgerWriter {
        var configuration = LedgerConfiguration(connection: database.url)
        configuration.spool = try spool.map { try LedgerSpool($0.path, limit: 1 << 20) }
        return try LedgerWriter.start(configuration)
    }

    private func append(_ records: [RequestRecord], to writer: LedgerWriter) async throws {
        for record in records { writer.append(record) { _ in } }
        #expect(await writer.flush(within: .seconds(60)))
    }

    private func forget(user: String?) async throws -> ForgettingCounts {
        let url = database.url
        return try await onLoop { actor in
            let connection = try await PostgresConnection.connect(
                PostgresConfiguration(connection: url), on: actor.loop)
            defer { connection.close() }
            return try await Forgetting(connection).forget(
                tenant: "acme", user: user, actor: "tester", reason: ""
            ) { _ in }
        }
    }

    /// An hour from now: a request that begins then has begun after all that happens here.
    private func later() throws -> Int64 {
        let seconds = try database.sql("SELECT floor(extract(epoch FROM now()))::bigint + 3600")
        return try #require(Int64(seconds)) * 1_000_000
    }

    // MARK: The queue and the spool

    struct Case: CustomTestStringConvertible, Sendable {
        let user: String?
        let isSpooled: Bool
        var testDescription: String { "\(user ?? "everybody"), \(isSpooled ? "the spool" : "the queue")" }
    }

    static let cases = [
        Case(user: "alice", isSpooled: false), Case(user: "alice", isSpooled: true),
        Case(user: nil, isSpooled: false), Case(user: nil, isSpooled: true),
    ]

    @Test(arguments: cases) func `what waits to be written is forgotten when it is written`(_ which: Case) async throws
    {
        let place = try which.isSpooled ? SpoolPlace() : nil
        let writer = try start(spool: place)
        defer { writer.stop() }
        // Forgetting does not need this table, and nothing can be written without it.
        try database.sql("ALTER TABLE charges RENAME TO hidden")
        let after = try later()
        let records = [record(0, "alice"), record(1, "bob"), record(2, "alice"), record(3, "alice", at: after)]
        let acknowledged = Acknowledgements()
        for record in records { writer.append(record) { acknowledged.add($0) } }
        #expect(await writer.flush(within: .milliseconds(500)) == which.isSpooled)
        #expect(acknowledged[.spooled] == (which.isSpooled ? 4 : 0))
        #expect(try await forget(user: which.user) == ForgettingCounts())
        #expect(try database.sql("SELECT count(*) FROM requests") == "0")
        try database.sql("ALTER TABLE hidden RENAME TO charges")
        for _ in 0..<1000 {
            if try database.sql("SELECT count(*) FROM requests") == "4" { break }
            try await Task.sleep(for: .milliseconds(20))
        }
        let isOne = which.user != nil
        #expect(try requests() == (isOne ? " 0,bob 1, 0,alice 1" : " 0, 0, 0,alice 1"))
        // A request has 22 tokens. Alice's later request has her name, and her earlier ones have nobody's.
        #expect(
            try usage()
                == (isOne
                    ? """
                     2;{"team": "blue", "user": "alice"} 1;{"team": "blue", "user": "bob"} 1
                     44;{"team": "blue", "user": "alice"} 22;{"team": "blue", "user": "bob"} 22
                    alice,blue,bob
                    """
                    : """
                     3;{"team": "blue", "user": "alice"} 1
                     66;{"team": "blue", "user": "alice"} 22
                    alice,blue
                    """))
        #expect(try database.broken() == "")
    }

    @Test func `what is sent again changes nothing, and brings nothing back`() async throws {
        let writer = try start()
        defer { writer.stop() }
        try await append([record(0, "alice"), record(1, "bob")], to: writer)
        #expect(try await forget(user: "alice").requests == 1)
        // The third is new: an import of old lines, say.
        try await append([record(0, "alice"), record(1, "bob"), record(2, "alice")], to: writer)
        try await append([record(2, "alice")], to: writer)
        #expect(try requests() == " 0,bob 1, 0")
        #expect(try database.broken() == "")
    }

    @Test func `another tenant's user of the same name, and who gives none, are not meant`() async throws {
        let other = BudgetDatabase.id(50)
        try database.sql(
            "INSERT INTO tenants (id, name, created_at, tag_keys) VALUES ('\(other)', 'other', now(), '{team,user}')")
        #expect(try await forget(user: "alice") == ForgettingCounts())
        var records = [record(0, "alice"), record(1, "alice"), record(2, "alice"), record(3, "Alice")]
        records[0].tenant = other
        records[1].tags = []
        let writer = try start()
        defer { writer.stop() }
        try await append(records, to: writer)
        #expect(try requests() == "alice 1, 1, 0,Alice 1")
    }

    @Test func `a record that the tables refuse is buried without its person`() async throws {
        #expect(try await forget(user: "alice") == ForgettingCounts())
        let writer = try start()
        defer { writer.stop() }
        var records = [record(0, "alice"), record(1, "bob")]
        for index in records.indices { records[index].calls = -1 }
        try await append(records, to: writer)
        let letters = "SELECT record FROM dead_letters ORDER BY request_id"
        let kept = try database.sql(letters).split(separator: "\n").map(String.init)
        #expect(kept.first == #"{"tenant_id":"\#(database.tenant)","forgotten":true}"#)
        #expect(kept.count == 2 && kept.last?.contains(#""tags":{"team":"blue","user":"bob"}"#) == true)
    }

    /// A gateway's clock may be ahead by a minute.
    @Test(arguments: [(0, "1"), (60_000_000, "1"), (60_000_001, "0")])
    func `a request began before a forgetting if its clock says so, or up to a minute later`(
        microseconds: Int, found: String
    ) throws {
        let id = BudgetDatabase.id(7)
        #expect(
            try database.sql(
                """
                SELECT FROM begin_forgetting('\(database.tenant)', sha256('alice'), 'tester', '');
                SELECT count(*) FROM forgettings f, forgotten_requests('{\(id),\(id)}', '{\(database.tenant),\(id)}',
                    ARRAY[f.began_at + interval '\(microseconds) microseconds', f.began_at], '{alice,alice}')
                """) == found)
    }

    @Test func `a note that comes with a request is forgotten with it`() async throws {
        let writer = try start()
        defer { writer.stop() }
        let records = [record(0, "alice"), record(1, "bob")]
        try await append(records, to: writer)
        #expect(try await forget(user: "alice").requests == 1)
        let verdicts = records.map {
            VerdictRecord(
                request: $0.id, choice: 0, source: "people", verdict: 1, judged: $0.finished, note: "said so")
        }
        let (url, tenant) = (database.url, database.tenant)
        let outcomes = try await onLoop { actor in
            let connection = try await PostgresConnection.connect(
                PostgresConfiguration(connection: url), on: actor.loop)
            defer { connection.close() }
            return try await Verdicts(connection).record(verdicts, tenant: tenant, with: records)
        }
        #expect(outcomes == [.kept, .kept])
        #expect(try database.sql("SELECT string_agg(note, ',' ORDER BY request_id) FROM verdicts") == ",said so")
    }

    // MARK: At the same time

    /// The writer waits, with alice's request written and not committed, for the lock under which new values of tags
    /// are counted. Who would not wait for it would find nothing to forget.
    @Test func `a writer that was there first is waited for, and found`() async throws {
        // How long a forgetting waits is not the question here, and a busy machine may need long.
        try database.sql("ALTER FUNCTION begin_forgetting SET lock_timeout = '60s'")
        let holder = try await PostgresSession(database.url)
        try await holder.run("BEGIN; SELECT pg_advisory_xact_lock(5917, hashtext('\(database.tenant)'))")
        let writer = try start()
        defer { writer.stop() }
        writer.append(record(0, "alice")) { _ in }
        try await database.wait(forBlocked: 1)
        async let counts = forget(user: "alice")
        try await database.wait(forBlocked: 2)
        #expect(try database.sql("SELECT count(*) FROM forgettings") == "0")
        try await holder.run("COMMIT")
        // One request with a text; a row of usage of requests and two of segments, by role.
        #expect(try await counts == ForgettingCounts(requests: 1, payloads: 1, usageRows: 3))
        #expect(await writer.flush(within: .seconds(60)))
        #expect(try requests() == " 0")
        // The team's name is not hers alone.
        #expect(try usage() == " 1\n 22\nblue")
        #expect(try database.broken() == "")
    }

    /// The writer's statement has begun, and looked at the database, before the forgetting is committed.
    @Test func `a writer that comes while a forgetting begins waits, and writes without the text`() async throws {
        let forgetting = try await PostgresSession(database.url)
        try await forgetting.run(
            "BEGIN; SELECT begin_forgetting('\(database.tenant)', sha256('alice'), 'tester', '')")
        let writer = try start()
        defer { writer.stop() }
        for record in [record(0, "alice"), record(1, "bob")] { writer.append(record) { _ in } }
        try await database.wait(forBlocked: 1)
        #expect(try database.sql("SELECT count(*) FROM forgettings") == "0")
        try await forgetting.run("COMMIT")
        #expect(await writer.flush(within: .seconds(60)))
        #expect(try requests() == " 0,bob 1")
    }
}
