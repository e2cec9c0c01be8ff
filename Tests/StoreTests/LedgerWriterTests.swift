import Accounting
import Foundation
import Reactor
import Store
import Synchronization
import TestSupport
import Testing

@Suite struct LedgerWriterTests {
    let server: TemporaryPostgres
    let database: String
    let fixture = LedgerFixture()

    init() async throws {
        server = try TemporaryPostgres.shared.get()
        database = try await server.makeMigratedDatabase()
    }

    private func writer(_ change: (inout LedgerConfiguration) -> Void = { _ in }) throws -> LedgerWriter {
        var configuration = LedgerConfiguration(connection: database)
        change(&configuration)
        return try LedgerWriter.start(configuration)
    }

    @Test func `records are committed with their segments, payloads and usage`() async throws {
        let writer = try writer()
        defer { writer.stop() }
        let acknowledged = Acknowledgements()
        for number in 0..<1000 {
            var record = fixture.record(number)
            record.payloads = [
                PayloadRecord(part: "prompt", sha256: SHA256.digest([1]), body: [1]),
                PayloadRecord(part: "0.0", sha256: SHA256.digest([2]), body: nil),
            ]
            writer.append(record) { acknowledged.add($0) }
        }
        #expect(await writer.flush(within: .seconds(60)))
        #expect(acknowledged[.committed] == 1000)
        #expect(try server.sql("SELECT count(*) FROM requests", on: database) == "1000")
        #expect(try server.sql("SELECT count(*) FROM requests_default", on: database) == "0")
        #expect(try server.sql("SELECT count(*), count(body) FROM payloads", on: database) == "2000|1000")
        // 1000 requests of 10 + 5 SLM tokens in 2 segments, and of 7 LLM tokens in one whose prompt is unknown.
        #expect(
            try server.sql(
                """
                SELECT role, sum(segments), sum(generated_tokens), sum(command_tokens),
                    sum(prompt_tokens), sum(prompts_unknown) FROM usage_of_segments GROUP BY role ORDER BY role
                """, on: database) == "llm|1000|7000|0|0|1000\nslm|2000|15000|4000|53000|0")
        #expect(
            try server.sql("SELECT sum(requests), sum(calls) FROM usage_of_requests", on: database) == "1000|1000")
        #expect(try server.sql(usageDifference, on: database) == "0")
        let statistics = writer.statistics
        #expect(statistics.requests == 1000 && statistics.segments == 3000)
        #expect(statistics.queuedRecords == 0 && statistics.queuedBytes == 0)
        #expect(statistics.batches < 100, "the commits were grouped")
    }

    @Test func `a replay changes nothing and is acknowledged`() async throws {
        let writer = try writer { $0.batchLimit = 7 }
        defer { writer.stop() }
        let acknowledged = Acknowledgements()
        for _ in 0..<3 {
            for number in 0..<50 { writer.append(fixture.record(number)) { acknowledged.add($0) } }
        }
        #expect(await writer.flush(within: .seconds(60)))
        #expect(acknowledged[.committed] == 150)
        #expect(try server.sql("SELECT count(*) FROM segments", on: database) == "150")
        #expect(try server.sql(usageDifference, on: database) == "0")
        #expect(try server.sql("SELECT sum(generated_tokens) FROM usage_of_segments", on: database) == "\(50 * 22)")
    }

    @Test func `the writer makes the partitions of the months to come`() async throws {
        let count = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'segments'::regclass"
        let before = try server.sql(count, on: database)
        let last = "SELECT max(inhrelid::regclass::text) FROM pg_inherits WHERE inhparent = 'segments'::regclass"
        let month = try server.sql(last + " AND inhrelid::regclass::text ~ '[0-9]$'", on: database)
        try server.sql("DROP TABLE \(month)", on: database)
        let writer = try writer()
        defer { writer.stop() }
        for _ in 0..<500 {
            if try server.sql(count, on: database) == before { break }
            try await Task.sleep(for: .milliseconds(10))
        }
        #expect(try server.sql("SELECT to_regclass('\(month)') IS NOT NULL", on: database) == "t")
    }

    @Test func `acknowledgements arrive on the loop that was named`() async throws {
        let writer = try writer()
        let thread = try LoopThread.start(name: "target") { _ in nil }
        let target = thread.loop
        let inLoop = Acknowledgements()
        for number in 0..<20 {
            writer.append(fixture.record(number), on: target) { inLoop.add(target.isInLoop ? $0.result : .stopped) }
        }
        #expect(await writer.flush(within: .seconds(60)))
        writer.stop()
        target.post { target.stop() }
        thread.join()
        #expect(inLoop[.committed] == 20)
    }

    @Test func `receipts say what requests cost`() async throws {
        try server.sql(
            """
            INSERT INTO prices (model, effective_from, input, cached_input, output, request, actor, reason) VALUES
                ('slm-model', '2026-01-01Z', 1000, 100, 2000, 7, 'test', ''),
                ('llm-model', '2026-01-01Z', 0, NULL, 50000, NULL, 'test', '')
            """, on: database)
        let writer = try writer()
        let thread = try LoopThread.start(name: "target") { _ in nil }
        let receipts = Mutex<[Int: [LedgerReceipt]]>([:])
        func write(_ number: Int, _ change: (inout RequestRecord) -> Void = { _ in }) {
            var record = fixture.record(number)
            change(&record)
            writer.append(record, on: thread.loop) { receipt in
                receipts.withLock { $0[number, default: []].append(receipt) }
            }
        }
        write(0)
        write(1) { $0.segments[1].model = "nobody-knows" }
        write(2) { $0.segments = [] }
        // Not served: costs nothing, whatever its model.
        write(3) {
            $0.segments[1].model = "nobody-knows"
            $0.segments[1].generatedTokens = 0
        }
        // 8e18 pico-dollars each: their sum has no room.
        write(4) { for index in [0, 2] { $0.segments[index].generatedTokens = 4_000_000_000_000_000 } }
        write(5) { $0.calls = -1 }
        write(6) {
            $0.calls = -1
            $0.segments = []
        }
        #expect(await writer.flush(within: .seconds(60)))
        // It is there already: the ledger is not asked what it said.
        write(0)
        #expect(await writer.flush(within: .seconds(60)))
        writer.stop()
        thread.loop.post { [loop = thread.loop] in loop.stop() }
        thread.join()
        // Prompts of 20 and 33, of them 10 and 16 cached, 15 tokens written, two attempts:
        // (10 + 17) * 1000 + 26 * 100 + 15 * 2000 + 2 * 7 = 59614; with the LLM's 7 tokens for 350000: 409614.
        #expect(
            receipts.withLock { $0 } == [
                0: [LedgerReceipt(.committed, cost: .pico(409_614)), LedgerReceipt(.committed, cost: .unknown)],
                1: [LedgerReceipt(.committed, cost: .unpriced)],
                2: [LedgerReceipt(.committed, cost: .pico(0))],
                3: [LedgerReceipt(.committed, cost: .pico(59_614))],
                4: [LedgerReceipt(.committed, cost: .unpriced)],
                5: [LedgerReceipt(.deadLettered, cost: .unknown)],
                6: [LedgerReceipt(.deadLettered, cost: .unknown)],
            ])
        #expect(
            try server.sql(
                "SELECT sum(cost_pico) FROM segments WHERE request_id = '\(fixture.record(0).id)'", on: database)
                == "409614")
    }

    /// What the database refuses about one record, and the SQLSTATE it does so with.
    struct Poison: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let sqlState: String
        let spoil: @Sendable (inout RequestRecord) -> Void
    }

    static let poisons = [
        Poison(testDescription: "a negative count", sqlState: "23514") { $0.calls = -1 },
        Poison(testDescription: "a count over 9e15", sqlState: "23514") { $0.segments[1].generatedTokens = Int.max },
        Poison(testDescription: "the same segment twice", sqlState: "23505") { $0.segments.append($0.segments[0]) },
        Poison(testDescription: "a propensity that is no number", sqlState: "23514") { $0.propensity = .nan },
        Poison(testDescription: "ten megabytes in what an index holds", sqlState: "54000") {
            let part = String(repeating: "x", count: 10 << 20)
            $0.payloads = [PayloadRecord(part: part, sha256: SHA256.digest([1]), body: nil)]
        },
        Poison(testDescription: "a digest that is too short", sqlState: "23514") {
            $0.payloads = [PayloadRecord(part: "prompt", sha256: [1], body: nil)]
        },
    ]

    @Test(arguments: poisons) func `a poison record is found, buried, and harms no other`(_ poison: Poison) async throws
    {
        let writer = try writer()
        defer { writer.stop() }
        let good = Acknowledgements()
        let bad = Acknowledgements()
        for number in 0..<100 {
            var record = fixture.record(number)
            if number == 37 {
                poison.spoil(&record)
                writer.append(record) { bad.add($0) }
            } else {
                writer.append(record) { good.add($0) }
            }
        }
        #expect(await writer.flush(within: .seconds(60)))
        #expect(good[.committed] == 99)
        #expect(bad[.deadLettered] == 1)
        #expect(try server.sql("SELECT count(*) FROM requests", on: database) == "99")
        #expect(try server.sql(usageDifference, on: database) == "0")
        let letter = try server.sql(
            "SELECT request_id, sqlstate, record::jsonb ->> 'id' FROM dead_letters", on: database)
        let id = fixture.record(37).id
        #expect(letter == "\(id)|\(poison.sqlState)|\(id)")
    }

    @Test func `NUL in text becomes U+FFFD, for PostgreSQL cannot hold it`() async throws {
        let writer = try writer()
        defer { writer.stop() }
        var record = fixture.record(1)
        record.segments[0].error = "a\u{0}b"
        record.model = "\u{0}"
        record.tags = [RequestTag(key: "user", value: "a\u{0}b")]
        let acknowledged = Acknowledgements()
        writer.append(record) { acknowledged.add($0) }
        #expect(await writer.flush(within: .seconds(60)))
        #expect(acknowledged[.committed] == 1)
        #expect(try server.sql("SELECT error FROM segments WHERE seq = 0", on: database) == "a\u{FFFD}b")
        #expect(try server.sql("SELECT tags ->> 'user' FROM requests", on: database) == "a\u{FFFD}b")
    }

    @Test func `a tag of ten megabytes is kept, and counted as other`() async throws {
        try server.sql(
            "INSERT INTO tenants (id, name, created_at, tag_keys) VALUES ('\(fixture.tenant)', 'acme', now(), '{user}')",
            on: database)
        let writer = try writer()
        defer { writer.stop() }
        let acknowledged = Acknowledgements()
        // 128 bytes are told apart, 129 are not.
        for (number, count) in [10 << 20, 128, 129].enumerated() {
            var record = fixture.record(number)
            record.tags = [RequestTag(key: "user", value: String(repeating: "x", count: count))]
            writer.append(record) { acknowledged.add($0) }
        }
        #expect(await writer.flush(within: .seconds(60)))
        #expect(acknowledged[.committed] == 3)
        try server.sql("SELECT compact_usage()", on: database)
        let kept = "SELECT length(tags ->> 'user') FROM requests ORDER BY 1"
        #expect(try server.sql(kept, on: database) == "128\n129\n10485760")
        let counted = "SELECT length(tags::jsonb ->> 'user'), requests FROM usage_requests ORDER BY 1"
        #expect(try server.sql(counted, on: database) == "5|2\n128|1")
    }

    @Test func `an error that is not the data's is waited out, and nothing is dropped`() async throws {
        try server.sql("ALTER TABLE usage_segment_deltas RENAME TO hidden", on: database)
        let writer = try writer()
        defer { writer.stop() }
        let acknowledged = Acknowledgements()
        for number in 0..<10 { writer.append(fixture.record(number)) { acknowledged.add($0) } }
        #expect(await !writer.flush(within: .milliseconds(300)))
        #expect(writer.statistics.queuedRecords == 10)
        #expect(writer.statistics.lastError?.contains("42P01") == true)
        try server.sql("ALTER TABLE hidden RENAME TO usage_segment_deltas", on: database)
        #expect(await writer.flush(within: .seconds(60)))
        #expect(acknowledged[.committed] == 10)
    }

    @Test func `without a database the queue fills, and stopping says so`() async throws {
        var configuration = LedgerConfiguration(connection: "host=/nonexistent")
        configuration.queueLimit = 10_000
        let writer = try LedgerWriter.start(configuration)
        let acknowledged = Acknowledgements()
        #expect(!writer.isFull)
        for number in 0..<20 { writer.append(fixture.record(number)) { acknowledged.add($0) } }
        #expect(writer.isFull)
        #expect(await !writer.flush(within: .milliseconds(100)))
        writer.stop()
        writer.append(fixture.record(99)) { acknowledged.add($0) }
        #expect(acknowledged[.stopped] == 21)
        #expect(writer.statistics.queuedBytes == 0)
    }
}

/// The server is broken here, so it is not the shared one.
@Suite(.serialized) struct LedgerFaultTests {
    enum Fault: CaseIterable { case backendKilled, serverCrashed }

    @Test(arguments: Fault.allCases)
    func `through a fault in the middle nothing is lost and nothing is counted twice`(_ fault: Fault) async throws {
        let server = try TemporaryPostgres()
        let database = try await server.makeMigratedDatabase()
        let fixture = LedgerFixture()
        var configuration = LedgerConfiguration(connection: database)
        configuration.batchLimit = 20
        let writer = try LedgerWriter.start(configuration)
        defer { writer.stop() }
        let acknowledged = Acknowledgements()
        let total = 6000
        for number in 0..<total {
            writer.append(fixture.record(number)) { acknowledged.add($0) }
            if [1500, 3000, 4500].contains(number) {
                // Faults come while batches are on their way: some are done and some wait.
                while acknowledged[.committed] < number / 2 { usleep(500) }
                switch fault {
                case .backendKilled: try server.killBackends(application: "relaygate ledger", on: database)
                case .serverCrashed:
                    try server.crash()
                    try server.start()
                }
            }
        }
        #expect(await writer.flush(within: .seconds(60)))
        #expect(acknowledged[.committed] == total)
        #expect(writer.statistics.connects >= 4)
        #expect(try server.sql("SELECT count(*) FROM requests", on: database) == "\(total)")
        #expect(try server.sql("SELECT count(*) FROM segments", on: database) == "\(3 * total)")
        #expect(try server.sql(usageDifference, on: database) == "0")
        print("\(fault): \(writer.statistics)")
    }
}
