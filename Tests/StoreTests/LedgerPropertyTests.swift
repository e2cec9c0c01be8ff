import Accounting
import Foundation
import Store
import Synchronization
import TestSupport
import Testing

/// Random histories of a ledger writer: new requests, requests sent again, poison among them, connections killed and
/// writers replaced while batches are under way. `RELAYGATE_LEDGER_SEED=N` repeats one.
@Suite(.serialized) struct LedgerPropertyTests {
    /// What a history must leave behind, kept beside the ledger and summed without it.
    private struct Expected {
        var good: [UUID7: RequestRecord] = [:]
        var poison: Set<UUID7> = []

        /// By tenant, hour and role, in the words of the query that asks the database.
        func usage() -> Set<String> {
            var sums: [String: [Int]] = [:]
            for record in good.values {
                let hour = record.started.microseconds / 3_600_000_000 * 3600
                for segment in record.segments {
                    let numbers = [
                        1, segment.generatedTokens, segment.commandTokens, segment.promptTokens ?? 0,
                        segment.cachedTokens ?? 0, segment.promptTokens == nil ? 1 : 0,
                    ]
                    let key = "\(record.tenant)|\(hour)|\(segment.role)"
                    sums[key] = zip(sums[key] ?? numbers.map { _ in 0 }, numbers).map { $0 + $1 }
                }
            }
            return Set(sums.map { "\($0)|" + $1.map(String.init).joined(separator: "|") })
        }
    }

    /// A backend that is killed takes its server down for a moment: not the one of all tests.
    private static let server = Result { try TemporaryPostgres() }

    static let usage = """
        SELECT tenant_id, extract(epoch FROM hour)::int8, role, sum(segments), sum(generated_tokens),
            sum(command_tokens), sum(prompt_tokens), sum(cached_tokens), sum(prompts_unknown)
        FROM usage_of_segments GROUP BY 1, 2, 3
        """

    private static let seeds: [UInt64] =
        ProcessInfo.processInfo.environment["RELAYGATE_LEDGER_SEED"].flatMap(UInt64.init).map { [$0] }
        ?? (0..<4).map { _ in UInt64.random(in: 0..<1_000_000) }

    @Test(arguments: LedgerPropertyTests.seeds)
    func `whatever happens, usage is the sum of segments and each request is there once`(_ seed: UInt64) async throws {
        print("ledger history of RELAYGATE_LEDGER_SEED=\(seed)")
        var draw = SeededGenerator(state: seed)
        let server = try Self.server.get()
        let database = try await server.makeMigratedDatabase()
        var expected = Expected()
        var all: [RequestRecord] = []
        let open = OpenRecords()
        var configuration = LedgerConfiguration(connection: database)
        configuration.batchLimit = Int.random(in: 1...40, using: &draw)
        configuration.connections = Int.random(in: 1...3, using: &draw)
        var writer = try LedgerWriter.start(configuration)
        func append(_ record: RequestRecord) {
            open.add(record)
            writer.append(record) { open.acknowledge(record.id, $0) }
        }
        for _ in 0..<30 {
            switch Int.random(in: 0..<10, using: &draw) {
            case 0..<5:
                for _ in 0..<Int.random(in: 1...60, using: &draw) {
                    let record = random(all.count, &draw)
                    if record.calls < 0 {
                        expected.poison.insert(record.id)
                    } else {
                        expected.good[record.id] = record
                    }
                    all.append(record)
                    append(record)
                }
            case 5, 6:
                let first = Int.random(in: 0...all.count, using: &draw)
                for record in all[first...].prefix(Int.random(in: 1...60, using: &draw)) { append(record) }
            case 7, 8: try server.killBackends(application: "relaygate ledger", on: database)
            default:
                // As after a crash: what has no acknowledgement comes again, whatever became of it.
                writer.stop()
                writer = try LedgerWriter.start(configuration)
                for record in open.takeAll() { append(record) }
            }
            // Some of it commits between two steps, and some does not.
            if Bool.random(using: &draw) { usleep(UInt32.random(in: 0...20_000, using: &draw)) }
        }
        #expect(await writer.flush(within: .seconds(60)))
        writer.stop()
        #expect(open.takeAll().isEmpty, "without an acknowledgement")
        // What was killed last may have had nothing left to write.
        try server.waitUntilReady(database)
        func lines(_ query: String) throws -> [String] {
            try server.sql(query, on: database).split(separator: "\n").map(String.init)
        }
        #expect(try Set(lines(Self.usage)) == expected.usage())
        let requests = try lines("SELECT id FROM requests")
        #expect(requests.count == expected.good.count)
        #expect(Set(requests) == Set(expected.good.keys.map(\.description)))
        #expect(try Set(lines("SELECT request_id FROM dead_letters")) == Set(expected.poison.map(\.description)))
        let segments = expected.good.values.reduce(0) { $0 + $1.segments.count }
        #expect(try server.sql("SELECT count(*) FROM segments", on: database) == "\(segments)")
        #expect(try server.sql("SELECT sum(requests) FROM usage_of_requests", on: database) == "\(requests.count)")
    }

    /// One in thirty is poison: a count below 0, which the tables refuse.
    private func random(_ number: Int, _ draw: inout SeededGenerator) -> RequestRecord {
        var fixture = LedgerFixture()
        fixture.tenant = UUID7(high: fixture.tenant.high, low: 1 << 63 | UInt64.random(in: 1...3, using: &draw))
        var record = fixture.record(number)
        // Over three hours, whatever the id says.
        record.started = Timestamp(
            microseconds: fixture.start + Int64.random(in: 0..<3 * 3_600_000_000, using: &draw))
        record.finished = record.started
        record.segments = Array(record.segments.prefix(Int.random(in: 0...3, using: &draw)))
        for index in record.segments.indices {
            record.segments[index].generatedTokens = Int.random(in: 0...9000, using: &draw)
            record.segments[index].commandTokens = Int.random(in: 0...9, using: &draw)
            record.segments[index].promptTokens = Bool.random(using: &draw) ? Int.random(in: 0...99, using: &draw) : nil
        }
        if Int.random(in: 0..<30, using: &draw) == 0 { record.calls = -1 }
        return record
    }
}

/// SplitMix64.
private struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}

/// Records that wait for their acknowledgement.
private final class OpenRecords: Sendable {
    private let records = Mutex<[UUID7: RequestRecord]>([:])

    func add(_ record: RequestRecord) { records.withLock { $0[record.id] = record } }
    func acknowledge(_ id: UUID7, _ result: LedgerResult) {
        if result != .stopped { records.withLock { $0[id] = nil } }
    }
    func takeAll() -> [RequestRecord] {
        records.withLock { records in
            defer { records = [:] }
            return Array(records.values)
        }
    }
}
