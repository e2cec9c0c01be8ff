import Foundation
import Postgres
import Reactor
import Store
import TestSupport
import Testing

@testable import Accounting
@testable import LeaseModel

/// Holds the model that the lease book is simulated with against the database that it stands for: random histories of
/// operations, played on both, must have the same answers and leave the same rows.
@Suite struct BudgetConformanceTests {
    static let seed: UInt64 =
        ProcessInfo.processInfo.environment["RELAY_SEED"].flatMap(UInt64.init) ?? UInt64.random(in: 0..<1_000_000_000)

    @Test func `the model of the database does what the database does`() async throws {
        print("RELAY_SEED=\(Self.seed)")
        let server = try TemporaryPostgres.shared.get()
        let url = try await server.makeMigratedDatabase()
        let writer = try LedgerWriter.start(LedgerConfiguration(connection: url))
        defer { writer.stop() }
        let operations = try await onLoop { actor in
            let connection = try await PostgresConnection.connect(
                .patient(url), on: actor.loop)
            defer { connection.close() }
            var operations = 0
            for history in 0..<150 {
                let pair = try await ModelAndDatabase(connection, writer, history, Self.seed &+ UInt64(history))
                try await pair.play(operations: 60)
                operations += pair.comparisons
            }
            return operations
        }
        #expect(operations > 150 * 40)
        #expect(
            // Without the histories' clock, I15 takes another window for the current one.
            try server.sql(
                """
                SELECT string_agg(DISTINCT invariant, ',') FROM broken_invariants(NULL, NULL, interval '10 seconds')
                WHERE invariant <> 'I15'
                """, on: url) == "")
        // Each kind of end was met.
        #expect(
            try server.sql("SELECT string_agg(DISTINCT state, ',' ORDER BY state) FROM leases", on: url)
                == "closed,expired")
        #expect(try server.sql("SELECT sum(overrun) > 0, sum(unreconciled) > 0 FROM leases", on: url) == "t|t")
    }
}

/// One history. *Loop thread.*
private final class ModelAndDatabase {
    private let connection: PostgresConnection
    private let writer: LedgerWriter
    /// Ids of the database are those of the model and this.
    private let base: UInt64
    private let tenant: UUID7
    private var model = DatabaseModel()
    private var random: SeededGenerator
    /// Each lease's next sequence number, and its last operation, which may be sent again.
    private var sequences: [Int] = []
    private var lastGrants: [Int: (LeaseBook.Grant, gateway: Int)] = [:]
    private var lastReturns: [Int: (sequence: Int, DatabaseModel.ReturnOperation)] = [:]
    private var calls = 0
    /// Whose lease has an intent for a call: its charge goes there.
    private var intents: [Int: Int] = [:]
    private let isHourly: Bool
    /// The moment, in microseconds since 1970, at which the history begins: in the middle of an hour.
    private let epoch: Int64
    private(set) var comparisons = 0

    init(_ connection: PostgresConnection, _ writer: LedgerWriter, _ history: Int, _ seed: UInt64) async throws {
        self.connection = connection
        self.writer = writer
        base = UInt64(history + 1) << 32
        tenant = UUID7(high: 0x0190_0000_0000_7000, low: 1 << 63 | base | 0xffff_ffff)
        random = SeededGenerator(state: seed)
        isHourly = random.percent(60)
        epoch = (Int64(Date().timeIntervalSince1970) / 3600 * 3600 + 1800) * 1_000_000
        try await setClock()
        _ = try await connection.query(
            "INSERT INTO tenants (id, name, created_at) VALUES ($1, $2, now())", [.uuid(tenant), .text("t\(history)")])
        for _ in 0..<2 { try await register() }
        for number in 0..<2 {
            let amount = [20, 100, 1000][random.below(3)]
            let definition = self.definition(number, amount: amount, mode: random.percent(50) ? .leased : .strict)
            model.addBudget(definition, length: isHourly ? 3_600_000_000 : nil)
            try await set(definition)
        }
    }

    private func id(_ number: Int) -> UUID7 { UUID7(high: 0x0190_0000_0000_7000, low: 1 << 63 | base | UInt64(number)) }
    private func lease(_ number: Int) -> UUID7 { id(1000 + number) }
    private func gateway(_ number: Int) -> UUID7 { id(2000 + number) }

    private func definition(_ number: Int, amount: Int, mode: HoldingMode) -> BudgetDefinition {
        BudgetDefinition(
            id: UUID7(high: 0, low: UInt64(number)), tenant: tenant, key: nil, name: "b\(number)", resource: .llmTokens,
            counts: .generated, window: isHourly ? .hour : .fixed, amount: amount, onExhausted: .degrade,
            clamps: number == 0, mode: mode)
    }

    func play(operations: Int) async throws {
        for _ in 0..<operations {
            try await moveTime()
            switch random.below(20) {
            case 0...6: try await grant()
            case 7...10: try await giveBack()
            case 11...14: try await charge()
            case 15, 16: try await intend()
            case 17: try await reap()
            case 18: try await change()
            default: if random.percent(50) { try await register() } else { try await renew() }
            }
        }
        try await compareRows()
        // The next history is alone.
        _ = try await connection.query("UPDATE gateways SET state = 'expired'")
        _ = try await connection.query("SELECT leases FROM reap_leases('1 minute')")
    }

    // MARK: Operations

    private func moveTime() async throws {
        // Steps of which no sum is ten seconds, after which a gateway no longer counts as one that shares.
        model.now += Int64(random.below(4)) * 3_000_000
        if random.percent(3) { model.now += 3_600_000_000 }
        try await setClock()
    }

    private func setClock() async throws {
        // The database's time is the model's but for what passes until the operation is there.
        let real = Int64(Date().timeIntervalSince1970 * 1_000_000)
        _ = try await connection.query(
            "SELECT set_config('relaygate.clock_offset', $1 || ' microseconds', false)",
            [.text(String(epoch + model.now - real))])
    }

    private func register() async throws {
        let number = model.registerGateway()
        _ = try await connection.query("SELECT register_gateway($1, 'test', '0')", [.uuid(gateway(number))])
    }

    private func renew() async throws {
        let number = random.below(model.gateways.count)
        let row = try await connection.query("SELECT state FROM renew_gateway($1)", [.uuid(gateway(number))]).single()
        check(model.renewGateway(number) ? "live" : "expired", try row.text("state"), "renew")
    }

    private func set(_ definition: BudgetDefinition) async throws {
        _ = try await connection.query(
            """
            SELECT set_budget($1, $2, NULL, $3, 'llm_tokens', 'generated', $4, $5, 'degrade', $6, $7, '{}', 'test', '')
            """,
            [
                .uuid(id(definition.id.number)), .uuid(tenant), .text(definition.name),
                .text(definition.window.rawValue), .int(definition.amount), .bool(definition.clamps),
                .text(definition.mode.rawValue),
            ])
    }

    private func change() async throws {
        let number = random.below(model.budgets.count)
        let definition = self.definition(
            number, amount: [0, 20, 100, 1000][random.below(4)], mode: random.percent(50) ? .leased : .strict)
        model.setBudget(number, definition)
        try await set(definition)
    }

    private func grant() async throws {
        if let (last, gateway) = lastGrants.randomElement(using: &random)?.value, random.percent(20) {
            return try await send(
                LeaseBook.Grant(
                    lease: last.lease, sequence: last.sequence, tenant: last.tenant, budget: last.budget,
                    mode: last.mode, needs: last.needs, spare: last.spare, isRepeat: true), gateway)
        }
        let number = random.percent(50) ? sequences.count : random.below(sequences.count + 1)
        if number == sequences.count { sequences.append(0) }
        let known = model.leases.indices.contains(number) ? model.leases[number] : DatabaseModel.Lease()
        let budget = known.state == .missing ? random.below(2) : known.budget
        let gateway = known.state == .missing ? random.below(model.gateways.count) : known.gateway
        let needs = (0..<random.below(4)).map { _ in random.percent(5) ? Int.max : 1 + random.below(60) }
        let grant = LeaseBook.Grant(
            lease: UUID7(high: 0, low: UInt64(number)), sequence: sequences[number], tenant: tenant,
            budget: UUID7(high: 0, low: UInt64(budget)), mode: model.budgets[budget].definition.mode, needs: needs,
            spare: random.below(100), isRepeat: random.percent(10))
        sequences[number] += 1
        lastReturns[number] = nil
        lastGrants[number] = (grant, gateway)
        try await send(grant, gateway)
    }

    private func send(_ grant: LeaseBook.Grant, _ gateway: Int) async throws {
        let expected = model.grantTokens(grant, gateway: gateway)
        let row = try await connection.query(
            "SELECT state, granted, pool FROM grant_tokens($1, $2, $3, $4, $5, $6, $7, $8)",
            [
                .uuid(self.gateway(gateway)), .uuid(lease(grant.lease.number)), .int(grant.sequence),
                .uuid(id(grant.budget.number)), .text(grant.mode.rawValue), .int8s(grant.needs.map(Int64.init)),
                .int(grant.spare), .bool(grant.isRepeat),
            ]
        ).single()
        let isRefused = [.gone, .expired, .windowOver, .closed].contains(expected.state)
        check(
            "\(expected.state.rawValue) \(expected.tokens) \(isRefused ? 0 : expected.pool)",
            "\(try row.text("state")) \(try row.int("granted")) \(isRefused ? 0 : try row.int("pool"))",
            "grant \(grant)")
    }

    private func giveBack() async throws {
        if let (number, last) = lastReturns.randomElement(using: &random), random.percent(20) {
            return try await send(last.1, last.sequence, number)
        }
        guard let number = anyLease() else { return }
        let known = model.leases[number]
        let rest = max(0, known.granted - known.settled - known.returned)
        let closes = random.percent(50)
        let lost = closes && random.percent(30) ? random.below(rest + 1) : 0
        let tokens = closes && random.percent(80) ? rest - lost : random.below(rest + 2)
        let operation = DatabaseModel.ReturnOperation(tokens: tokens, closes: closes, used: 0, lost: lost)
        lastGrants[number] = nil
        lastReturns[number] = (sequences[number], operation)
        sequences[number] += 1
        try await send(operation, sequences[number] - 1, number)
    }

    private func send(_ operation: DatabaseModel.ReturnOperation, _ sequence: Int, _ number: Int) async throws {
        let gateway = model.leases[number].gateway
        let done = model.returnTokens(gateway: gateway, lease: number, sequence: sequence, operation)
        let row = try await connection.query(
            "SELECT state FROM return_tokens($1, $2, $3, $4, $5, 0, $6)",
            [
                .uuid(self.gateway(gateway)), .uuid(lease(number)), .int(sequence), .int(operation.tokens),
                .bool(operation.closes), .int(operation.lost),
            ]
        ).single()
        let expected = done.map { $0 ? "done" : "unknown" } ?? "unsettled"
        check(expected, try row.text("state"), "return of \(operation)")
    }

    private func charge() async throws {
        // Now and then the ledger gets the same request again.
        let call = calls > 0 && random.percent(15) ? random.below(calls) : calls
        guard let number = intents[call] ?? anyLease() else { return }
        calls = max(calls, call + 1)
        let (reserved, charged) = (1 + random.below(20), random.below(24))
        let charge = ChargeRecord(
            lease: UUID7(high: 0, low: UInt64(number)),
            budget: UUID7(high: 0, low: UInt64(model.leases[number].budget)),
            reserved: reserved, charged: charged)
        model.record([.init(call: call, charges: [charge], beyond: [charge.overrun])])
        var fixture = LedgerFixture()
        fixture.tenant = tenant
        var record = fixture.record(call)
        record.id = request(call)
        record.segments[1].generatedTokens = charged
        record.llmTokens = charged
        record.segments[1].charges = [
            ChargeRecord(
                lease: lease(number), budget: id(model.leases[number].budget), reserved: reserved, charged: charged)
        ]
        let acknowledged = Acknowledgements()
        writer.append(record) { acknowledged.add($0) }
        _ = await writer.flush(within: .seconds(60))
        #expect(acknowledged[.committed] == 1)
    }

    /// A request's id: of this history, and in the middle of a month.
    private func request(_ call: Int) -> UUID7 {
        UUID7(high: LedgerFixture().record(0).id.high, low: 1 << 63 | base | UInt64(call))
    }

    private func intend() async throws {
        let call = calls + random.below(2)
        guard let number = intents[call] ?? anyLease() else { return }
        intents[call] = number
        let gateway = model.leases[number].gateway
        let reserved = 1 + random.below(20)
        if random.percent(25) {
            model.voidIntents(gateway: gateway, lease: number, call: call)
            _ = try await connection.query(
                "SELECT void_intents($1, $2, $3, 0, 1, 1)",
                [.uuid(self.gateway(gateway)), .uuid(lease(number)), .uuid(request(call))])
            return
        }
        let hold = Hold(
            tenant: tenant, budget: UUID7(high: 0, low: 0), lease: UUID7(high: 0, low: UInt64(number)),
            resource: .llmTokens, counts: .generated, tokens: reserved, segment: nil)
        let isRecorded = model.recordIntents(gateway: gateway, call: call, [hold])
        let rows = try await connection.query(
            "SELECT record_intents($1, '{0}', ARRAY[$2::uuid], ARRAY[$3::uuid], '{0}', '{1}', '{1}', ARRAY[$4::int8])",
            [.uuid(self.gateway(gateway)), .uuid(lease(number)), .uuid(request(call)), .int(reserved)])
        check(isRecorded ? 1 : 0, rows.count, "intent of \(reserved)")
    }

    private func reap() async throws {
        model.now += random.percent(50) ? 120_000_000 : 0
        try await setClock()
        // Between two whole seconds, where the time that the test takes does not matter.
        let count = model.reapLeases(ttl: 60_500_000)
        let row = try await connection.query("SELECT leases FROM reap_leases('60.5 s')", []).single()
        check(count, try row.int("leases"), "reap")
    }

    private func anyLease() -> Int? {
        let open = model.leases.indices.filter { model.leases[$0].state != .missing }
        return open.isEmpty ? nil : open[random.below(open.count)]
    }

    // MARK: Comparing

    private func check<Value: Equatable>(_ expected: Value, _ found: Value, _ what: String) {
        comparisons += 1
        #expect(expected == found, "\(what), history \(base >> 32)")
    }

    private func compareRows() async throws {
        for (number, row) in model.leases.enumerated() where row.state != .missing {
            let found = try await connection.query(
                """
                SELECT concat_ws(' ', state, granted, settled, returned, unreconciled, overrun) AS text FROM leases
                WHERE id = $1
                """, [.uuid(lease(number))]
            ).single()
            check(
                "\(row.state) \(row.granted) \(row.settled) \(row.returned) \(row.unreconciled) \(row.overrun)",
                try found.text("text"), "lease \(number)")
        }
        for (number, budget) in model.budgets.enumerated() {
            let found = try await connection.query(
                """
                SELECT concat_ws(' ', amount, cap, charged, leased, unreconciled, overrun) AS text FROM budget_windows
                WHERE budget_id = $1 ORDER BY window_start
                """, [.uuid(id(number))])
            let expected = budget.windows.map {
                "\($0.amount) \($0.cap) \($0.charged) \($0.leased) \($0.unreconciled) \($0.overrun)"
            }
            check(
                expected, try found.map { try $0.text("text") }, "budget \(number)")
        }
    }
}
