import Accounting
import Postgres
import Reactor
import Store
import Synchronization
import TestSupport
import Testing
import Traces

/// Records that the tables refused: what is left of them, and that trying again writes each once.
@Suite struct DeadLetterTests {
    private let server: TemporaryPostgres
    private let database: String

    init() async throws {
        server = try TemporaryPostgres.shared.get()
        database = try await LedgerRows.database(0)
    }

    private static func record(_ number: Int) -> RequestRecord {
        var record = LedgerRows.record(number)
        record.payloads = [PayloadRecord(part: "prompt", sha256: SHA256.digest([UInt8(number)]), body: [1])]
        if number == 3 { record.tags.append(RequestTag(key: "user", value: "a\u{0}\u{1F980}\"\n")) }
        return record
    }

    /// Writes records; returns the SQLSTATEs of those that were buried.
    private func write(_ records: [RequestRecord], to database: String) async throws -> [UUID7: String] {
        let buried = Mutex<[UUID7: String]>([:])
        var configuration = LedgerConfiguration(connection: database)
        configuration.onEvent = { event in
            if case .buried(let request, let sqlState) = event { buried.withLock { $0[request] = sqlState } }
        }
        let writer = try LedgerWriter.start(configuration)
        defer { writer.stop() }
        for record in records { writer.append(record) { _ in } }
        #expect(await writer.flush(within: .seconds(60)))
        return buried.withLock { $0 }
    }

    private func use<Value: Sendable>(_ body: @Sendable (DeadLetters) async throws -> Value) async throws -> Value {
        let url = database
        return try await onLoop { actor in
            let connection = try await PostgresConnection.connect(.patient(url), on: actor.loop)
            defer { connection.close() }
            return try await body(DeadLetters(connection))
        }
    }

    /// Tries all of them again, by what they say.
    private func retry(_ letters: [DeadLetter]) async throws -> [DeadLetterOutcome] {
        try await use { dead in
            var done: [DeadLetterOutcome] = []
            for letter in letters { done.append(try await dead.retry(letter, as: letter.readRecord())) }
            return done
        }
    }

    /// All that the ledger has of requests, but for what a price book numbers.
    private func rows(_ database: String) throws -> [String] {
        try [
            "SELECT string_agg(to_jsonb(r)::text, ';' ORDER BY id) FROM requests r",
            "SELECT string_agg(to_jsonb(s)::text, ';' ORDER BY request_id, choice, seq, attempt) FROM segments s",
            "SELECT string_agg(concat(request_id, part, encode(sha256, 'hex')), ';' ORDER BY request_id) FROM payloads",
            """
            SELECT sum(requests), sum(calls), sum(visible_tokens), sum(durations) FROM usage_of_requests;
            SELECT tenant_id, role, sum(generated_tokens), sum(prompt_tokens) FROM usage_of_segments GROUP BY 1, 2 ORDER BY 1, 2
            """, "SELECT count(*) FROM broken_usage(NULL, NULL)",
        ].map { try server.sql($0, on: database) }
    }

    @Test func `what was refused is written as it would have been, once`() async throws {
        let records = (0..<30).map(Self.record)
        try server.sql("ALTER TABLE requests ADD CONSTRAINT none CHECK (calls > 99)", on: database)
        let buried = try await write(records, to: database)
        #expect(buried == Dictionary(uniqueKeysWithValues: records.map { ($0.id, "23514") }))
        let letters = try await use { try await $0.list(limit: 100) }
        #expect(letters.map(\.request) == records.map(\.id).sorted())
        #expect(letters.map(\.tenantName) == (0..<30).map { "t\($0 % 3)" })
        #expect(try await use { try await $0.list(limit: 2) } == Array(letters.prefix(2)))
        // What they were refused for is still there.
        #expect(
            try await retry(letters)
                == letters.map { _ in .refused("the tables refuse it still (SQLSTATE 23514)") })
        #expect(
            try server.sql("SELECT (SELECT count(*) FROM dead_letters), count(*) FROM requests", on: database) == "30|0"
        )
        try server.sql("ALTER TABLE requests DROP CONSTRAINT none", on: database)
        #expect(try await retry(letters) == letters.map { _ in .written })
        #expect(
            try server.sql("SELECT (SELECT count(*) FROM dead_letters), count(*) FROM requests", on: database) == "0|30"
        )
        // A database that never refused anything has the same rows; but text is lost.
        let other = try await LedgerRows.database(0)
        #expect(try await write(records, to: other) == [:])
        #expect(try rows(database) == rows(other))
        #expect(try server.sql("SELECT count(body) FROM payloads", on: database) == "0")
        // Who read the letters before finds nothing to do.
        #expect(try await retry(letters) == letters.map { _ in .gone })
        #expect(try rows(database) == rows(other))
    }

    @Test func `of two at once one writes it`() async throws {
        try server.sql("ALTER TABLE requests ADD CONSTRAINT none CHECK (calls > 99)", on: database)
        _ = try await write((0..<10).map(Self.record), to: database)
        try server.sql("ALTER TABLE requests DROP CONSTRAINT none", on: database)
        let letters = try await use { try await $0.list(limit: 100) }
        async let first = retry(letters)
        async let second = retry(letters)
        let both = try await (first, second)
        for (one, two) in zip(both.0, both.1) {
            #expect(one == .written && two == .gone || one == .gone && two == .written)
        }
        #expect(try server.sql("SELECT count(*) FROM requests", on: database) == "10")
        #expect(try server.sql("SELECT count(*) FROM broken_usage(NULL, NULL)", on: database) == "0")
    }

    @Test func `a request that is there is left as it is, and another tenant's is not taken for it`() async throws {
        let records = (0..<2).map(Self.record)
        _ = try await write(records, to: database)
        try server.sql("ALTER TABLE requests ADD CONSTRAINT none CHECK (calls > 99) NOT VALID", on: database)
        var twins = records
        twins[1].tenant = LedgerRows.tenant(2)
        // A replay changes nothing, so that only a letter that was buried elsewhere can be of a request that is here.
        let other = try await LedgerRows.database(0)
        try server.sql("ALTER TABLE requests ADD CONSTRAINT none CHECK (calls > 99)", on: other)
        _ = try await write(twins, to: other)
        let texts = try server.sql("SELECT record FROM dead_letters ORDER BY request_id", on: other).split(
            separator: "\n")
        for (record, text) in zip(twins, texts) {
            try server.sql(
                "INSERT INTO dead_letters VALUES ('\(record.id)', '23514', $letter$\(text)$letter$)", on: database)
        }
        let before = try rows(database)
        let letters = try await use { try await $0.list(limit: 9) }
        #expect(try await retry(letters) == [.present, .refused("a request of another tenant has its id")])
        #expect(try rows(database) == before)
        #expect(try server.sql("SELECT request_id FROM dead_letters", on: database) == "\(records[1].id)")
    }

    @Test func `what cannot be tried again is named`() async throws {
        let poisons: [(spoil: (inout RequestRecord) -> Void, message: String)] = [
            ({ $0.calls = -1 }, "calls must be a whole number from 0 to 9000000000000000"),
            ({ $0.segments[0].generatedTokens = Int.max }, "segments[0].generated_tokens must be a whole number"),
            (
                { $0.payloads[0] = PayloadRecord(part: "prompt", sha256: [1], body: nil) },
                "payloads[0].sha256 must be 64"
            ),
            ({ $0.propensity = 2 }, "propensity must be above 0 and at most 1"),
        ]
        let records = poisons.enumerated().map { number, poison in
            var record = Self.record(number)
            poison.spoil(&record)
            return record
        }
        #expect(try await write(records, to: database).count == poisons.count)
        let id = LedgerRows.record(9).id
        let tenant = LedgerRows.tenant(1)
        try server.sql(
            "INSERT INTO dead_letters VALUES ('\(id)', '22000', forgotten_letter('\(tenant)'))", on: database)
        let letters = try await use { try await $0.list(limit: 9) }
        #expect(letters.count == poisons.count + 1)
        for (letter, message) in zip(letters, poisons.map(\.message) + ["it was forgotten"]) {
            let fault = #expect(throws: TraceFault.self) { try letter.readRecord() }
            #expect(fault?.description.hasPrefix(message) == true, "\(fault?.description ?? "none")")
        }
        #expect(letters.last?.tenantName == "t1")
    }

    @Test func `a letter of a month that was pruned stays`() async throws {
        try server.sql("ALTER TABLE requests ADD CONSTRAINT none CHECK (calls > 99)", on: database)
        _ = try await write([Self.record(1)], to: database)
        try server.sql("ALTER TABLE requests DROP CONSTRAINT none", on: database)
        // November 2026, of LedgerRows.
        try server.sql(
            "INSERT INTO pruned_partitions (parent, month, partition, rows, bytes, actor) "
                + "VALUES ('requests', '2026-11-01Z', '', 0, 0, 'test')", on: database)
        let letters = try await use { try await $0.list(limit: 9) }
        #expect(try await retry(letters) == [.refused("its month was pruned")])
        #expect(try server.sql("SELECT count(*) FROM dead_letters", on: database) == "1")
    }
}
