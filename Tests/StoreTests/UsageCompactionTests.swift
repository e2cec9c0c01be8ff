import Accounting
import Postgres
import Reactor
import Store
import Synchronization
import TestSupport
import Testing

/// What becomes a label of reports, and that no row of one tenant stops the adding up of another's usage.
@Suite struct UsageCompactionTests {
    let database: BudgetDatabase

    init() async throws { database = try await BudgetDatabase() }

    /// A request with tags, every value of 128 bytes but where it is said otherwise.
    private func record(_ number: Int, _ tags: [(key: String, value: String)]) -> RequestRecord {
        var fixture = LedgerFixture()
        fixture.tenant = database.tenant
        var record = fixture.record(number)
        record.tags = tags.map { RequestTag(key: $0.key, value: $0.value) }
        return record
    }

    private func write(_ records: [RequestRecord]) async throws {
        let writer = try LedgerWriter.start(LedgerConfiguration(connection: database.url))
        defer { writer.stop() }
        for record in records { writer.append(record) { _ in } }
        #expect(await writer.flush(within: .seconds(60)))
        #expect(writer.statistics.deadLetters == 0 && writer.statistics.requests == records.count)
    }

    private func choose(_ keys: [String]) throws {
        let list = keys.map { "'\($0)'" }.joined(separator: ",")
        try database.sql("UPDATE tenants SET tag_keys = ARRAY[\(list)] WHERE id = '\(database.tenant)'")
    }

    /// Eight different keys of `count` of these characters.
    private func keys(_ character: String, _ count: Int) -> [String] {
        (0..<8).map { "\($0)" + String(repeating: character, count: count - 1) }
    }

    private static let value = String(repeating: "v", count: 128)

    @Test func `only keys that the tenant has chosen become labels`() async throws {
        try choose(["team"])
        let many = (0..<40).map { (key: "\($0)" + String(repeating: "\u{4E00}", count: 62), value: Self.value) }
        try await write([
            record(0, many + [(key: "team", value: "a")]), record(1, many), record(2, [(key: "team", value: "b")]),
        ])
        #expect(
            try database.sql("SELECT nullif(tags, '')::jsonb ->> 'team', tags FROM usage_request_deltas ORDER BY tags")
                == "|\na|{\"team\": \"a\"}\nb|{\"team\": \"b\"}")
        #expect(try database.sql("SELECT key, value FROM tag_values ORDER BY 2") == "team|a\nteam|b")
        #expect(
            try database.sql("SELECT count(*) FROM requests r, jsonb_each(r.tags) WHERE r.tags ? '\(many[0].key)'")
                == "81")
    }

    @Test func `eight keys of 64 bytes with values of 128 are told apart`() async throws {
        let keys = keys("k", 64)
        try choose(keys)
        try await write([record(0, keys.map { ($0, Self.value) })])
        // 8 * (64 + 128 + 6 of quotes, colon and spaces) + 7 * 2 of commas + 2 of braces.
        #expect(
            try database.sql("SELECT octet_length(tags), tags LIKE '%other%' FROM usage_request_deltas") == "1600|f")
        // The request, and its segments by role.
        #expect(try database.sql("SELECT compact_usage()") == "3")
    }

    @Test func `a label that would be too long is other from the key on that does not fit`() async throws {
        let keys = keys("k", 64)
        try choose(keys)
        // A quotation mark is two bytes of JSON: the first value is one byte too long for the eighth to fit.
        let tags = keys.enumerated().map { ($1, $0 == 0 ? "\"" + Self.value.dropFirst() : Self.value) }
        try await write([record(0, tags), record(1, tags.reversed())])
        let label = "SELECT DISTINCT tags FROM usage_request_deltas"
        let said = try database.sql(
            "SELECT e.key FROM (\(label)) l, jsonb_each_text(l.tags::jsonb) e WHERE e.value = 'other'")
        #expect(said == keys[7])
        // Values that no label has are no values of the tenant.
        #expect(try database.sql("SELECT count(*) FROM tag_values") == "7")
    }

    /// Emoji, and characters that JSON escapes with six bytes, in keys that were chosen before there was a bound.
    @Test(arguments: ["\u{1F980}", "\u{1}"])
    func `no key and no value makes a label that an index cannot hold`(_ character: String) async throws {
        let keys = keys(character, 64)
        try choose(keys)
        let long = String(repeating: character, count: 128 / character.utf8.count)
        try await write([record(0, keys.map { ($0, long) }), record(1, keys.map { ($0, Self.value) })])
        #expect(try database.sql("SELECT max(octet_length(tags)) <= 1600 FROM usage_segment_deltas") == "t")
        #expect(try database.sql("SELECT compact_usage() > 0") == "t")
        #expect(try database.sql("SELECT count(*) FROM usage_request_deltas") == "0")
        #expect(try database.sql(usageDifference) == "0")
    }

    /// As many bytes as the four names may have, of a kind that does not get shorter.
    @Test func `the longest names fit into an index with the longest label`() async throws {
        var block: [UInt8] = [7]
        func noise(_ count: Int) -> String {
            var text = ""
            while text.utf8.count < count {
                block = SHA256.digest(block)
                for byte in block { text.unicodeScalars.append(UnicodeScalar(0x30 + byte % 44)) }
            }
            return String(text.prefix(count))
        }
        let keys = (0..<8).map { _ in noise(64) }
        try choose(keys)
        var request = record(0, keys.map { ($0, noise(128)) })
        (request.model, request.policy) = (noise(256), noise(256))
        for index in request.segments.indices {
            (request.segments[index].model, request.segments[index].upstream) = (noise(256), noise(256))
        }
        try await write([request])
        #expect(try database.sql("SELECT max(octet_length(tags)) FROM usage_segment_deltas") == "1600")
        #expect(try database.sql("SELECT compact_usage()") == "4")
    }

    /// Puts a row among the deltas that no index can hold.
    private func spoil(tenant: UUID7) throws {
        try database.sql(
            """
            INSERT INTO usage_request_deltas SELECT '\(tenant)', hour, key_id, model, policy,
                (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 400) n), 1, 0, 0, 0, 0, 0, 0
                FROM usage_request_deltas LIMIT 1
            """)
    }

    @Test func `a row that the tables refuse stops its own tenant only`() async throws {
        let other = BudgetDatabase.id(50)
        try database.sql("INSERT INTO tenants (id, name, created_at) VALUES ('\(other)', 'evil', now())")
        try await write((0..<3).map { record($0, []) })
        try spoil(tenant: other)
        #expect(try database.sql("SELECT compact_usage() > 0") == "t")
        #expect(try database.sql("SELECT sum(requests) FROM usage_request_days") == "3")
        #expect(try database.sql("SELECT DISTINCT tenant_id FROM usage_request_deltas") == "\(other)")
        let state =
            "SELECT failing_since IS NOT NULL, reason LIKE 'tenant evil: index row%(SQLSTATE 54000)' FROM usage_compaction"
        #expect(try database.sql(state) == "t|t")
        let since = try database.sql("SELECT failing_since FROM usage_compaction")
        #expect(try database.sql("SELECT compact_usage()") == "0")
        #expect(try database.sql("SELECT failing_since FROM usage_compaction") == since)
        let complaints = try await status().complaints
        #expect(complaints.contains { $0.contains("usage cannot be added up since") && $0.contains("evil") })
        try database.sql("DELETE FROM usage_request_deltas")
        #expect(try database.sql("SELECT compact_usage()") == "0")
        #expect(try database.sql("SELECT failing_since IS NULL, reason FROM usage_compaction") == "t|")
        #expect(try await status().complaints.allSatisfy { !$0.contains("usage") })
    }

    @Test func `usage that nobody adds up is complained of`() async throws {
        try await write([record(0, [])])
        #expect(try await status().complaints.allSatisfy { !$0.contains("usage") })
        try database.sql("UPDATE usage_compaction SET added_at = now() - interval '6 minutes'")
        // One row of the request, and one for each role of its segments.
        let complaints = try await status().complaints
        #expect(complaints.contains { $0.hasPrefix("3 row(s) of usage wait, nobody has added up since") })
        try database.sql("SELECT compact_usage()")
        #expect(try await status().complaints.allSatisfy { !$0.contains("usage") })
    }

    private func status() async throws -> LedgerStatus {
        let url = database.url
        return try await onLoop { actor in
            let connection = try await PostgresConnection.connect(.patient(url), on: actor.loop)
            defer { connection.close() }
            return try await LedgerStatus.read(connection)
        }
    }

    /// The keeper tells once that usage cannot be added up, of some tenants or at all, and once that it can.
    @Test func `the keeper tells once of each change`() async throws {
        try await write([record(0, [])])
        try spoil(tenant: BudgetDatabase.id(51))
        let thread = try LoopThread.start(name: "usage") { _ in nil }
        let events = Mutex<[String]>([])
        let keeper = UsageKeeper(connection: database.url, loop: thread.loop, interval: .milliseconds(20)) { event in
            events.withLock {
                switch event {
                case .failing(let reason):
                    $0.append(reason.contains("54000") ? "tenant" : "all \(reason.contains("42P01"))")
                case .restored: $0.append("restored")
                }
            }
        }
        defer {
            keeper.stop()
            thread.loop.stop()
            thread.join()
        }
        func wait(for count: Int, failures: Int) async throws {
            for _ in 0..<4000 where events.withLock({ $0.count }) < count || keeper.failures < failures {
                try await Task.sleep(for: .milliseconds(5))
            }
        }
        try await wait(for: 1, failures: 3)
        #expect(events.withLock { $0 } == ["tenant"] && keeper.isFailing && keeper.failures >= 3)
        try database.sql("DELETE FROM usage_request_deltas")
        try await wait(for: 2, failures: 0)
        #expect(events.withLock { $0 } == ["tenant", "restored"] && !keeper.isFailing)
        try database.sql("ALTER TABLE usage_segment_deltas RENAME TO hidden")
        try await wait(for: 3, failures: 0)
        try database.sql("ALTER TABLE hidden RENAME TO usage_segment_deltas")
        try await wait(for: 4, failures: 0)
        #expect(events.withLock { $0 } == ["tenant", "restored", "all true", "restored"])
    }
}
