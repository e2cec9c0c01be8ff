import Accounting
import Store
import TestSupport
import Testing

/// A migrated database with one tenant, and the budget functions called the way a reader of SQL would.
struct BudgetDatabase: Sendable {
    let server: TemporaryPostgres
    let url: String
    let tenant = BudgetDatabase.id(1)
    let budget = BudgetDatabase.id(2)
    let gateway = BudgetDatabase.id(100)

    init() async throws {
        server = try TemporaryPostgres.shared.get()
        url = try await server.makeMigratedDatabase()
        try sql(
            "INSERT INTO tenants (id, name, created_at, tag_keys) VALUES ('\(tenant)', 'acme', now(), '{team,user}')")
        try register(gateway)
    }

    static func id(_ number: Int) -> UUID7 { UUID7(high: 0x0190_0000_0000_7000, low: 1 << 63 | UInt64(number)) }

    @discardableResult
    func sql(_ text: String) throws -> String { try server.sql(text, on: url) }

    func register(_ gateway: UUID7) throws { try sql("SELECT register_gateway('\(gateway)', 'test', '0')") }

    /// Makes the budget, or changes it.
    func set(
        _ amount: Int, window: String = "day", clamps: Bool = true, mode: String = "leased",
        resource: String = "llm_tokens", id: UUID7? = nil
    ) throws {
        try sql(
            """
            SELECT set_budget('\(id ?? budget)', '\(tenant)', NULL, 'b\((id ?? budget).low & 0xff)', '\(resource)',
                'generated', '\(window)', \(amount), 'degrade', \(clamps), '\(mode)', '{}', 'tester', '')
            """)
    }

    /// State, tokens granted and what is left in the pool, as `granted|10|90`.
    func grant(
        _ lease: Int, _ sequence: Int, _ needs: [Int], spare: Int = 0, by gateway: UUID7? = nil,
        of budget: UUID7? = nil, mode: String = "leased", repeats: Bool = false, offset: String = ""
    ) throws -> String {
        try sql(
            """
            SET relaygate.clock_offset = '\(offset)';
            SELECT state, granted, pool FROM grant_tokens('\(gateway ?? self.gateway)', '\(Self.id(lease))',
                \(sequence), '\(budget ?? self.budget)', '\(mode)',
                '{\(needs.map(String.init).joined(separator: ","))}', \(spare), \(repeats))
            """)
    }

    func giveBack(
        _ lease: Int, _ sequence: Int, _ tokens: Int, closes: Bool = false, used: Int = 0, lost: Int = 0
    ) throws -> String {
        try sql(
            """
            SELECT state FROM return_tokens('\(gateway)', '\(Self.id(lease))', \(sequence), \(tokens), \(closes),
                \(used), \(lost))
            """)
    }

    /// Charges leases as the ledger does: a request of three segments whose second, the LLM's 7 tokens, is charged.
    func charge(_ request: Int, _ charges: [(lease: Int, reserved: Int, charged: Int)]) async throws {
        var fixture = LedgerFixture()
        fixture.tenant = tenant
        var record = fixture.record(request)
        record.segments[1].generatedTokens = charges.map(\.charged).max() ?? 7
        record.llmTokens = record.segments[1].generatedTokens
        record.segments[1].charges = charges.map {
            ChargeRecord(lease: Self.id($0.lease), budget: budget, reserved: $0.reserved, charged: $0.charged)
        }
        let writer = try LedgerWriter.start(LedgerConfiguration(connection: url))
        defer { writer.stop() }
        let acknowledged = Acknowledgements()
        writer.append(record) { acknowledged.add($0) }
        _ = await writer.flush(within: .seconds(60))
        #expect(acknowledged[.committed] == 1, "\(writer.statistics)")
    }

    func intent(_ lease: Int, request: Int, reserved: Int) throws -> String {
        try sql(
            """
            SELECT count(*) FROM record_intents('\(gateway)', '{7}', '{\(Self.id(lease))}',
                '{\(LedgerFixture().record(request).id)}', '{0}', '{1}', '{1}', '{\(reserved)}')
            """)
    }

    /// Takes gateways for dead that have not been heard of for a minute, a minute and a bit from now.
    func reap(in offset: String = "61 seconds") throws -> String {
        try sql(
            """
            SET relaygate.clock_offset = '\(offset)';
            SELECT gateways, leases, tokens FROM reap_leases('1 minute')
            """)
    }

    /// Charged and adjusted, leased, unreconciled, overrun and cap of the budget's only window.
    func window() throws -> String {
        try sql(
            """
            SELECT charged + adjusted, leased, unreconciled, overrun, cap FROM budget_windows
            WHERE budget_id = '\(budget)'
            """
        )
    }

    /// State, granted, settled, returned, unreconciled and overrun of a lease.
    func lease(_ number: Int) throws -> String {
        try sql(
            """
            SELECT state, granted, settled, returned, unreconciled, overrun FROM leases
            WHERE id = '\(Self.id(number))'
            """)
    }

    /// The names of the invariants that do not hold.
    func broken() throws -> String {
        try sql("SELECT string_agg(DISTINCT invariant, ',') FROM broken_invariants(NULL, NULL, interval '10 seconds')")
    }
}
