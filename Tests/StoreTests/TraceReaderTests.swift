import Accounting
import Foundation
import Postgres
import Reactor
import Store
import TestSupport
import Testing

@Suite struct TraceReaderTests {
    let server: TemporaryPostgres
    let database: String
    let fixture = LedgerFixture()

    /// 450 requests, more than two pages of an export; every third asked for the model `other`.
    init() async throws {
        server = try TemporaryPostgres.shared.get()
        database = try await server.makeMigratedDatabase()
        try server.sql(
            """
            INSERT INTO tenants (id, name, created_at) VALUES ('\(fixture.tenant)', 'acme', now()),
                ('01900000-0000-7000-8000-000000000009', 'idle', now())
            """, on: database)
        let writer = try LedgerWriter.start(LedgerConfiguration(connection: database))
        for number in 0..<450 {
            var record = fixture.record(number)
            if number % 3 == 0 { record.model = "other" }
            writer.append(record) { _ in }
        }
        #expect(await writer.flush(within: .seconds(60)))
        writer.stop()
    }

    private func read<Value: Sendable>(_ body: @Sendable (TraceReader) async throws -> Value) async throws -> Value {
        let database = self.database
        return try await onLoop { actor in
            let connection = try await PostgresConnection.connect(
                .patient(database), on: actor.loop)
            defer { connection.close() }
            return try await body(TraceReader(connection))
        }
    }

    struct Selection: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let filter: TraceFilter
        let numbers: [Int]
    }

    static let at: @Sendable (Int) -> Timestamp = { LedgerFixture().record($0).started }

    static let selections = [
        Selection(testDescription: "all", filter: TraceFilter(), numbers: Array(0..<450)),
        Selection(testDescription: "a limit", filter: TraceFilter(limit: 201), numbers: Array(0..<201)),
        Selection(testDescription: "since", filter: TraceFilter(since: at(440)), numbers: Array(440..<450)),
        Selection(
            testDescription: "since and until", filter: TraceFilter(since: at(3), until: at(5)), numbers: [3, 4]),
        Selection(
            testDescription: "a model", filter: TraceFilter(model: "other"),
            numbers: (0..<450).filter { $0.isMultiple(of: 3) }),
        Selection(testDescription: "a tenant", filter: TraceFilter(tenant: "acme", limit: 2), numbers: [0, 1]),
        Selection(testDescription: "a tenant without requests", filter: TraceFilter(tenant: "idle"), numbers: []),
    ]

    @Test(arguments: selections) func `an export gives each chosen request once, the oldest first`(
        _ selection: Selection
    ) async throws {
        let ids = try await read { reader in
            var ids: [UUID7] = []
            let count = try await reader.forEach(selection.filter) { trace in
                ids.append(trace.request.id)
                #expect(trace.request.segments.map(\.sequence) == [0, 1, 2])
            }
            #expect(count == ids.count)
            return ids
        }
        #expect(ids == selection.numbers.map { fixture.record($0).id })
    }

    @Test func `a list is newest first`() async throws {
        let ids = try await read { try await $0.list(TraceFilter(limit: 3)).map(\.request.id) }
        #expect(ids == [449, 448, 447].map { fixture.record($0).id })
    }

    @Test func `a record is read back as it was written`() async throws {
        let original = fixture.record(1)
        let trace = try await read { try await $0.show(original.id.description) }
        #expect("\(trace.request)" == "\(original)")
        #expect(trace.tenantName == "acme")
    }

    @Test func `a prefix of an id serves if only one request has it`() async throws {
        let id = fixture.record(1).id
        let codes = try await read { reader in
            var codes: [String] = []
            for text in [
                String(id.description.prefix(8)), String(id.description.prefix(13)), "ffffffff", "1234567", "not hex.",
            ] {
                do { codes.append(try await reader.show(text).request.id.description) } catch {
                    codes.append((error as? StoreError)?.code.rawValue ?? "\(error)")
                }
            }
            return codes
        }
        // 13 characters are all 48 bits of the millisecond, and each request has its own.
        #expect(codes == ["ambiguous", id.description, "not_found", "invalid", "invalid"])
    }

    @Test func `a line is the trace format`() async throws {
        var record = fixture.record(500)
        record.tags = [RequestTag(key: "user", value: "u"), RequestTag(key: "team", value: "a \"b\"")]
        record.segments[0].cacheWriteTokens = 6
        let tagged = record
        let writer = try LedgerWriter.start(LedgerConfiguration(connection: database))
        writer.append(tagged) { _ in }
        #expect(await writer.flush(within: .seconds(60)))
        writer.stop()
        func judge(_ source: String, _ verdict: Double, _ offset: Int64) -> VerdictRecord {
            VerdictRecord(
                request: tagged.id, choice: 0, source: source, verdict: verdict,
                judged: Timestamp(microseconds: fixture.start + offset), note: "n")
        }
        // Of each source the latest counts.
        let verdicts = [judge("tests", 1, 1_000_000), judge("people", 0.25, 2000), judge("tests", 0, 999_999)]
        let url = database
        try await onLoop { actor in
            let connection = try await PostgresConnection.connect(
                .patient(url), on: actor.loop)
            defer { connection.close() }
            #expect(try await Verdicts(connection).record(verdicts, tenant: nil) == [.kept, .kept, .kept])
        }
        let line = try await read { try await $0.show(tagged.id.description).json }
        let start = fixture.start / 1000 + 500
        func tail(_ cache: String) -> String {
            #""cache_write_tokens":\#(cache),"source":"reported","command_source":"counted","cost_pico":null,"#
                + #""started_ms":0,"ms":0.345,"first_token_ms":0.012,"error":null}"#
        }
        #expect(
            line == #"{"version":2,"request_id":"\#(tagged.id)","tenant":"acme","model":"relay","#
                + #""policy":{"name":"relay","version":"1","propensity":null},"endpoint":"chat","stream":true,"#
                + #""arrived_ms":\#(start),"finished_ms":\#(start).5,"outcome":"completed","finish":"stop","#
                + #""error":null,"degraded":null,"choices":1,"calls":1,"malformed":0,"prompt_tokens":20,"#
                + #""slm_tokens":15,"llm_tokens":7,"command_tokens":4,"visible_tokens":18,"#
                + #""tags":{"team":"a \"b\"","user":"u"},"#
                + #""segments":[{"role":"slm","choice":0,"seq":0,"attempt":1,"model":"slm-model","upstream":"u1","#
                + #""requested":9,"granted":null,"tokens":10,"command_tokens":4,"finish":"call","#
                + #""input_tokens":20,"cached_input_tokens":10,"# + tail("6")
                + #",{"role":"llm","choice":0,"seq":1,"attempt":1,"model":"llm-model","upstream":"u1","requested":9,"#
                + #""granted":7,"tokens":7,"command_tokens":0,"finish":"stop","input_tokens":null,"#
                + #""cached_input_tokens":null,"# + tail("null")
                + #",{"role":"slm","choice":0,"seq":2,"attempt":1,"model":"slm-model","upstream":"u1","#
                + #""requested":null,"granted":null,"tokens":5,"command_tokens":0,"finish":"stop","#
                + #""input_tokens":33,"cached_input_tokens":16,"# + tail("null") + #"],"#
                + #""verdicts":[{"choice":0,"source":"people","verdict":0.25,"judged_ms":\#(start - 498),"note":"n"},"#
                + #"{"choice":0,"source":"tests","verdict":1.0,"judged_ms":\#(start + 500),"note":"n"}],"#
                + #""counterfactual":null}"#)
    }

    @Test(arguments: [
        ("llm_tokens>0", 450), ("llm_tokens > 7", 0), ("llm_tokens>=7", 450), ("slm_tokens<15", 0),
        ("slm_tokens<=15", 450), ("calls=1", 450), ("calls!=1", 0), ("ms<0.6", 450), ("ms<0.5", 0), ("degraded=0", 450),
    ])
    func `a condition chooses`(text: String, count: Int) async throws {
        let condition = try #require(TraceCondition(text))
        let found = try await read { reader in
            var filter = TraceFilter()
            filter.conditions = [condition]
            return try await reader.forEach(filter) { _ in }
        }
        #expect(found == count)
    }

    @Test(arguments: ["", "llm_tokens", "llm_tokens>", ">0", "tokens>0", "llm_tokens~0", "llm_tokens>x", "calls==1"])
    func `what is no condition is none`(text: String) { #expect(TraceCondition(text) == nil) }

    @Test func `policy, outcome, tags and a position choose`() async throws {
        let ids = try await read { reader in
            var counts: [Int] = []
            for change in [
                { $0.policy = "relay" }, { $0.policy = "slm" }, { $0.outcome = .completed }, { $0.outcome = .cut },
                { $0.tags = [RequestTag(key: "user", value: "u")] }, { $0.after = LedgerFixture().record(440).id },
            ] as [(inout TraceFilter) -> Void] {
                var filter = TraceFilter()
                change(&filter)
                counts.append(try await reader.forEach(filter) { _ in })
            }
            return counts
        }
        // 441 to 449 come after 440.
        #expect(ids == [450, 0, 450, 0, 0, 9])
    }
}
