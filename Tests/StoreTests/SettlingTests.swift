import Accounting
import Reactor
import Store
import TestSupport
import Testing

/// What batches of the ledger do to leases at the same time, and what records do that the tables refuse.
@Suite struct SettlingTests {
    let database: BudgetDatabase

    init() async throws { database = try await BudgetDatabase() }

    /// The first settles lease 10 as it is and lease 11 beyond what was granted, for which it needs the window; the
    /// second needs the window for lease 10. Both wait for the window, the second before the first. Were lease 10
    /// locked by the first meanwhile, the second would wait for it and the first for the window: PostgreSQL would end
    /// one.
    @Test func `two batches that overrun leases of one window wait for each other, and not in a circle`() async throws {
        try database.set(100)
        #expect(try database.grant(10, 0, [30]) == "granted|30|70")
        #expect(try database.grant(11, 0, [30]) == "granted|30|40")
        let holder = try await PostgresSession(database.url)
        let first = try await PostgresSession(database.url)
        let second = try await PostgresSession(database.url)
        try await holder.run("BEGIN; SELECT FROM budget_windows FOR UPDATE")
        async let late: Void = second.run(
            "SELECT settle_charges('{\(BudgetDatabase.id(10))}', '{31}', '{0}')")
        try await database.wait(forBlocked: 1)
        async let early: Void = first.run(
            """
            SELECT settle_charges('{\(BudgetDatabase.id(10)),\(BudgetDatabase.id(11))}', '{5,33}', '{0,0}')
            """)
        try await database.wait(forBlocked: 2)
        try await holder.run("COMMIT")
        try await late
        try await early
        // 31 and 5 tokens of 30, and 33 of 30: six and three more than was granted.
        #expect(try database.lease(10) == "open|36|36|0|0|6")
        #expect(try database.lease(11) == "open|33|33|0|0|3")
        // Of the 40 that were left both are paid: nothing exceeds the cap.
        #expect(try database.window() == "0|69|0|0|100")
    }

    /// Two leases of two windows each, so that the order of leases is not that of windows.
    @Test func `windows are locked in one order, whatever the order of their leases`() async throws {
        let other = BudgetDatabase.id(3)
        try database.set(100)
        try database.set(100, id: other)
        for (lease, budget) in [(10, database.budget), (11, other), (12, other), (13, database.budget)] {
            #expect(try database.grant(lease, 0, [10], of: budget).hasPrefix("granted|10|"))
        }
        let holder = try await PostgresSession(database.url)
        let first = try await PostgresSession(database.url)
        let second = try await PostgresSession(database.url)
        // The second waits for the window of lease 10. Had the first, by the order of its leases, the other window
        // already, it would wait behind the second, and the second for that one.
        try await holder.run("BEGIN; SELECT FROM budget_windows WHERE budget_id = '\(database.budget)' FOR UPDATE")
        async let two: Void = second.run(
            """
            SELECT settle_charges('{\(BudgetDatabase.id(10)),\(BudgetDatabase.id(11))}', '{11,11}', '{0,0}')
            """)
        try await database.wait(forBlocked: 1)
        async let one: Void = first.run(
            """
            SELECT settle_charges('{\(BudgetDatabase.id(12)),\(BudgetDatabase.id(13))}', '{11,11}', '{0,0}')
            """)
        try await database.wait(forBlocked: 2)
        try await holder.run("COMMIT")
        try await one
        try await two
        for lease in 10...13 { #expect(try database.lease(lease) == "open|11|11|0|0|1") }
    }

    /// A record that spends 12 of the 15 tokens that were reserved in lease 10 of 30; spoilt, or of a charge that is.
    private func settle(_ poison: LedgerWriterTests.Poison, charged: Int = 12) async throws {
        var fixture = LedgerFixture()
        fixture.tenant = database.tenant
        var record = fixture.record(1)
        record.segments[1].generatedTokens = 12
        record.llmTokens = 12
        record.segments[1].charges = [
            ChargeRecord(lease: BudgetDatabase.id(10), budget: database.budget, reserved: 15, charged: charged)
        ]
        poison.spoil(&record)
        let thread = try LoopThread.start(name: "target") { _ in nil }
        let writer = try LedgerWriter.start(LedgerConfiguration(connection: database.url))
        defer {
            writer.stop()
            thread.loop.post { thread.loop.stop() }
            thread.join()
        }
        let acknowledged = Acknowledgements()
        let settled = Acknowledgements()
        let tell: @Sendable () -> Void = { settled.add(.committed) }
        writer.append(record, on: thread.loop, settled: tell) { acknowledged.add($0.result) }
        #expect(await writer.flush(within: .seconds(60)))
        for _ in 0..<4000 where acknowledged[.deadLettered] == 0 { try await Task.sleep(for: .milliseconds(5)) }
        #expect(acknowledged[.deadLettered] == 1 && settled[.committed] == 1, "\(writer.statistics)")
        #expect(try database.sql("SELECT count(*) FROM requests") == "0")
        #expect(try database.sql("SELECT count(*) FROM dead_letters") == "1")
    }

    @Test(arguments: LedgerWriterTests.poisons)
    func `a record that the tables refuse is charged to its lease all the same`(_ poison: LedgerWriterTests.Poison)
        async throws
    {
        try database.set(100)
        #expect(try database.grant(10, 0, [30]) == "granted|30|70")
        try await settle(poison)
        #expect(try database.lease(10) == "open|30|12|0|0|0")
        #expect(try database.sql("SELECT reserved, charged, overrun FROM charges") == "15|12|0")
        #expect(try database.broken() == "")
        // The gateway gives back the 18 of 30 that are left, and 88 of 100 are free again.
        #expect(try database.giveBack(10, 1, 18, closes: true) == "done")
        #expect(try database.window() == "12|0|0|0|100")
        #expect(try database.sql("SELECT used, held, remaining FROM budget_usage") == "12|0|88")
        #expect(try database.broken() == "")
    }

    static let badCharges = [
        LedgerWriterTests.Poison(testDescription: "a charge below nothing", sqlState: "23514") {
            $0.segments[1].charges[0].charged = -1
        },
        LedgerWriterTests.Poison(testDescription: "the same charge twice", sqlState: "23505") {
            $0.segments.append($0.segments[1])
        },
    ]

    @Test(arguments: badCharges)
    func `charges that are refused as well do not stop the ledger; their tokens stay held`(
        _ poison: LedgerWriterTests.Poison
    ) async throws {
        try database.set(100)
        #expect(try database.grant(10, 0, [30]) == "granted|30|70")
        try await settle(poison)
        #expect(try database.sql("SELECT sqlstate FROM dead_letters") == poison.sqlState)
        #expect(try database.sql("SELECT count(*) FROM charges") == "0")
        #expect(try database.sql("SELECT used, held, remaining FROM budget_usage") == "0|30|70")
        #expect(try database.broken() == "")
        // When the gateway is gone, what nobody can explain counts as used.
        #expect(try database.reap() == "1|1|30")
        #expect(try database.window() == "0|0|30|0|100")
        #expect(try database.broken() == "")
    }
}
