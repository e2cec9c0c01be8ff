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
        #expect(await writer.flush(within: .seconds(20)))
        writer.stop()
    }

    private func read<Value: Sendable>(_ body: @Sendable (TraceReader) async throws -> Value) async throws -> Value {
        let database = self.database
        return try await onLoop { actor in
            let connection = try await PostgresConnection.connect(
                PostgresConfiguration(connection: database), on: actor.loop)
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
        let line = try await read { reader in
            var lines: [String] = []
            _ = try await reader.export(TraceFilter(limit: 2)) { lines.append($0) }
            return lines[1]
        }
        let start = fixture.start / 1000 + 1
        let common = #""source":"reported","ms":0.345,"first_token_ms":0.012,"error":null}"#
        #expect(
            line == #"{"version":1,"request_id":"\#(fixture.record(1).id)","tenant":"acme","model":"relay","#
                + #""policy":{"name":"relay","version":"1","propensity":null},"arrived_ms":\#(start),"#
                + #""finished_ms":\#(start),"outcome":"completed","degraded":null,"choices":1,"prompt_tokens":20,"#
                + #""segments":[{"role":"slm","choice":0,"attempt":1,"model":"slm-model","tokens":10,"#
                + #""command_tokens":4,"requested":9,"finish":"call","input_tokens":20,"cached_input_tokens":10,"#
                + common
                + #",{"role":"llm","choice":0,"attempt":1,"model":"llm-model","requested":9,"granted":7,"tokens":7,"#
                + #""finish":"stop","input_tokens":null,"cached_input_tokens":null,"# + common
                + #",{"role":"slm","choice":0,"attempt":1,"model":"slm-model","tokens":5,"command_tokens":0,"#
                + #""requested":null,"finish":"stop","input_tokens":33,"cached_input_tokens":16,"# + common
                + #"],"verdict":null,"counterfactual":null}"#)
    }
}
