import Accounting
import TestSupport
import Testing

/// The functions of migration 0004, one at a time.
@Suite struct BudgetFunctionTests {
    let database: BudgetDatabase

    init() async throws { database = try await BudgetDatabase() }

    // MARK: Grants

    @Test func `needs are granted in their order, as many as fit`() throws {
        try database.set(100)
        #expect(try database.grant(10, 0, [30, 40]) == "granted|70|30")
        // 30 are left: 20 fit, then 10 more, and 5 are too many.
        #expect(try database.grant(10, 1, [20, 10, 5]) == "granted|30|0")
        #expect(try database.grant(10, 2, [1]) == "exhausted|0|0")
        #expect(try database.window() == "0|100|0|0|100")
        #expect(try database.broken() == "")
    }

    @Test func `the first need gets what is left where the budget clamps, and nothing where it does not`() throws {
        try database.set(100)
        #expect(try database.grant(10, 0, [90]) == "granted|90|10")
        try database.set(100, clamps: false)
        #expect(try database.grant(10, 1, [11]) == "exhausted|0|10")
        try database.set(100, clamps: true)
        #expect(try database.grant(10, 1, [11]) == "granted|10|0")
    }

    @Test func `spare tokens are a quarter of the rest among the live gateways, or none`() throws {
        try database.set(1000)
        // One gateway: of the 990 left after the need a quarter, 247, is more than is wished.
        #expect(try database.grant(10, 0, [10], spare: 100) == "granted|110|890")
        // Two gateways: an eighth of 880 is 110, less than the 200 that are wished.
        let other = BudgetDatabase.id(101)
        try database.register(other)
        #expect(try database.grant(11, 0, [10], spare: 200, by: other) == "granted|120|770")
        // An eighth of 670 is 83, less than eight times the need of 100: near the end nothing is given ahead.
        #expect(try database.grant(10, 1, [100], spare: 500) == "granted|100|670")
    }

    @Test func `the same sequence number has the same answer and no second effect`() throws {
        try database.set(100)
        #expect(try database.grant(10, 0, [30]) == "granted|30|70")
        #expect(try database.grant(10, 0, [30]) == "granted|30|70")
        #expect(try database.grant(10, 0, [99]) == "granted|30|70")
        #expect(try database.lease(10) == "open|30|0|0|0|0")
        #expect(try database.giveBack(10, 1, 10) == "done")
        #expect(try database.giveBack(10, 1, 10) == "done")
        #expect(try database.window() == "0|20|0|0|100")
        #expect(try database.broken() == "")
    }

    @Test func `who is not live, asks for what is gone, or for another's lease gets nothing`() throws {
        try database.set(100)
        #expect(try database.grant(10, 0, [1], by: BudgetDatabase.id(999)) == "expired|0|0")
        #expect(try database.grant(10, 0, [1], of: BudgetDatabase.id(998)) == "gone|0|0")
        #expect(try database.grant(10, 0, [1]) == "granted|1|99")
        let other = BudgetDatabase.id(101)
        try database.register(other)
        #expect(try database.grant(10, 5, [1], by: other) == "closed|0|99")
        #expect(try database.window() == "0|1|0|0|100")
        try database.sql("UPDATE tenants SET state = 'deleted'")
        // What was done before the tenant was gone is still told.
        #expect(try database.grant(10, 0, [1]) == "granted|1|99")
        // Its budgets stay in force, with nothing left.
        #expect(try database.grant(10, 1, [1]) == "exhausted|0|0")
    }

    @Test func `a lease does not span windows`() throws {
        try database.set(100)
        #expect(try database.grant(10, 0, [10]) == "granted|10|90")
        try database.sql("UPDATE gateways SET heartbeat_at = now() + interval '1 day'")
        #expect(try database.grant(10, 1, [10], offset: "1 day") == "window_over|0|0")
        #expect(try database.grant(11, 0, [60], offset: "1 day") == "granted|60|40")
        #expect(
            try database.sql("SELECT leased FROM budget_windows ORDER BY window_start") == "10\n60")
        #expect(try database.broken() == "")
    }

    @Test(arguments: [
        // A Thursday in a leap year's February, and the last second of a year.
        ("minute", "2028-02-24 10:20:30+00", "2028-02-24 10:20:00", "2028-02-24 10:21:00"),
        ("hour", "2028-02-24 10:20:30+00", "2028-02-24 10:00:00", "2028-02-24 11:00:00"),
        ("day", "2028-02-24 23:30:00-02", "2028-02-25 00:00:00", "2028-02-26 00:00:00"),
        ("week", "2028-02-24 10:20:30+00", "2028-02-21 00:00:00", "2028-02-28 00:00:00"),
        ("month", "2028-02-29 10:20:30+00", "2028-02-01 00:00:00", "2028-03-01 00:00:00"),
        ("month", "2027-12-31 23:59:59+00", "2027-12-01 00:00:00", "2028-01-01 00:00:00"),
        ("fixed", "2027-12-31 23:59:59+00", "1970-01-01 00:00:00", ""),
    ])
    func `a window begins and ends in UTC`(kind: String, moment: String, starts: String, ends: String) throws {
        let found = try database.sql(
            """
            SET timezone = 'America/New_York';
            SELECT starts AT TIME ZONE 'UTC', coalesce((ends AT TIME ZONE 'UTC')::text, '')
            FROM budget_window('\(kind)', '\(moment)')
            """)
        #expect(found == "\(starts)|\(ends)")
    }

    @Test func `a repeat that gives nothing keeps the first message from giving something later`() throws {
        try database.set(100)
        #expect(try database.grant(11, 0, [100]) == "granted|100|0")
        #expect(try database.grant(10, 0, [30], repeats: true) == "exhausted|0|0")
        #expect(try database.giveBack(11, 1, 100, closes: true) == "done")
        #expect(try database.grant(10, 0, [30]) == "exhausted|0|0")
        #expect(try database.window() == "0|0|0|0|100")
        #expect(try database.broken() == "")
    }

    @Test func `needs that no number can hold are too many, not an error`() throws {
        try database.set(100)
        #expect(try database.grant(10, 0, [30, Int.max]) == "granted|30|70")
    }

    // MARK: Settling and giving back

    @Test func `a lease closes only when all of it is explained`() async throws {
        try database.set(100)
        #expect(try database.grant(10, 0, [30]) == "granted|30|70")
        try await database.charge(0, [(lease: 10, reserved: 12, charged: 7)])
        #expect(try database.lease(10) == "open|30|7|0|0|0")
        // 7 are settled, 22 come back: one is missing.
        #expect(try database.giveBack(10, 1, 22, closes: true) == "unsettled")
        #expect(try database.giveBack(10, 1, 24) == "unsettled")
        #expect(try database.giveBack(10, 1, 23, closes: true) == "done")
        #expect(try database.lease(10) == "closed|30|7|23|0|0")
        #expect(try database.window() == "7|0|0|0|100")
        #expect(try database.broken() == "")
    }

    @Test func `what a server sent beyond the reservation is an overrun, never refused`() async throws {
        try database.set(20)
        #expect(try database.grant(10, 0, [20]) == "granted|20|0")
        try await database.charge(0, [(lease: 10, reserved: 20, charged: 25)])
        #expect(try database.lease(10) == "open|25|25|0|0|5")
        #expect(try database.window() == "0|25|0|5|20")
        #expect(try database.giveBack(10, 1, 0, closes: true) == "done")
        #expect(try database.window() == "25|0|0|5|20")
        #expect(try database.broken() == "")
    }

    @Test func `one call's overrun is not paid by what another left`() async throws {
        try database.set(200)
        #expect(try database.grant(10, 0, [50, 50]) == "granted|100|100")
        try await database.charge(0, [(lease: 10, reserved: 50, charged: 80)])
        try await database.charge(1, [(lease: 10, reserved: 50, charged: 20)])
        // 30 beyond a reservation are added to what was granted; of the other 50 another 30 come back.
        #expect(try database.lease(10) == "open|130|100|0|0|30")
        #expect(try database.giveBack(10, 1, 30, closes: true) == "done")
        // The cap was never broken: the pool had room for them.
        #expect(try database.window() == "100|0|0|0|200")
        #expect(try database.broken() == "")
    }

    @Test func `tokens that were lost sight of are charged without proof`() throws {
        try database.set(100)
        #expect(try database.grant(10, 0, [30]) == "granted|30|70")
        #expect(try database.giveBack(10, 1, 20, closes: true, lost: 10) == "done")
        #expect(try database.window() == "0|0|10|0|100")
        #expect(try database.broken() == "")
    }

    // MARK: The dead

    @Test func `a dead gateway's lease stays charged, and its late words are believed`() async throws {
        try database.set(100)
        #expect(try database.grant(10, 0, [30]) == "granted|30|70")
        try await database.charge(0, [(lease: 10, reserved: 10, charged: 7)])
        #expect(try database.reap(in: "30 seconds") == "0|0|0")
        // 30 granted, 7 settled: 23 in doubt.
        #expect(try database.reap() == "1|1|23")
        #expect(try database.reap() == "0|0|0")
        #expect(try database.window() == "7|0|23|0|100")
        #expect(try database.broken() == "")
        #expect(try database.sql("SELECT renew_gateway('\(database.gateway)')") == "expired")
        #expect(try database.grant(10, 1, [1]) == "expired|0|0")
        // It was only slow: 9 more were used, 14 were not.
        try await database.charge(1, [(lease: 10, reserved: 10, charged: 9)])
        #expect(try database.window() == "16|0|14|0|100")
        #expect(try database.giveBack(10, 1, 14, closes: true) == "done")
        #expect(try database.window() == "16|0|0|0|100")
        #expect(try database.lease(10) == "expired|30|16|14|0|0")
        #expect(try database.broken() == "")
    }

    @Test func `of a strict budget only calls that had begun stay charged`() async throws {
        try database.set(100, mode: "strict")
        #expect(try database.grant(10, 0, [30], mode: "strict") == "granted|30|70")
        #expect(try database.intent(10, request: 0, reserved: 10) == "1")
        #expect(try database.intent(10, request: 1, reserved: 8) == "1")
        try await database.charge(0, [(lease: 10, reserved: 10, charged: 7)])
        // The second call has an intent and no charge: its 8 are in doubt, the other 15 are free.
        #expect(try database.reap() == "1|1|8")
        #expect(try database.window() == "7|0|8|0|100")
        #expect(try database.lease(10) == "expired|30|7|15|8|0")
        #expect(try database.intent(10, request: 2, reserved: 1) == "0")
        #expect(try database.broken() == "")
        // It wakes and gives its idle 12 back: they are free already, and the call is still in flight.
        #expect(try database.giveBack(10, 1, 12) == "done")
        #expect(try database.window() == "7|0|8|0|100")
        try await database.charge(1, [(lease: 10, reserved: 8, charged: 5)])
        #expect(try database.giveBack(10, 2, 3, closes: true) == "done")
        #expect(try database.window() == "12|0|0|0|100")
        #expect(try database.broken() == "")
    }

    @Test func `a late charge beyond its intent leaves the doubt of other calls`() async throws {
        try database.set(100, mode: "strict")
        #expect(try database.grant(10, 0, [60], mode: "strict") == "granted|60|40")
        for request in 0...2 { #expect(try database.intent(10, request: request, reserved: 10) == "1") }
        #expect(try database.reap() == "1|1|30")
        // The first call used 10 and 8 more, which its gateway took from what was free: the other calls' 20 stay.
        try await database.charge(0, [(lease: 10, reserved: 18, charged: 18)])
        #expect(try database.window() == "18|0|20|0|100")
        // The second used nothing at all.
        try await database.charge(1, [(lease: 10, reserved: 10, charged: 0)])
        #expect(try database.window() == "18|0|10|0|100")
        #expect(try database.broken() == "")
    }

    @Test func `a lease keeps the mode that it was opened with`() async throws {
        try database.set(100)
        #expect(try database.grant(10, 0, [30]) == "granted|30|70")
        try database.set(100, mode: "strict")
        // Its calls have no intents, so nothing proves that they did not begin.
        #expect(try database.reap() == "1|1|30")
    }

    @Test func `of several intents in one commit those whose leases are open are written`() throws {
        try database.set(100, mode: "strict")
        #expect(try database.grant(10, 0, [30], mode: "strict") == "granted|30|70")
        let (open, unknown) = (BudgetDatabase.id(10), BudgetDatabase.id(11))
        let requests = (0..<4).map { LedgerFixture().record($0).id.description }.joined(separator: ",")
        // The second attempt needs both leases, one of which nobody has; the others are written.
        let written = try database.sql(
            """
            SELECT * FROM record_intents('\(database.gateway)', '{0,1,1,2}', '{\(open),\(open),\(unknown),\(open)}',
                '{\(requests)}', '{0,0,0,0}', '{1,1,1,1}', '{1,1,1,1}', '{10,8,8,6}') ORDER BY 1
            """)
        #expect(written == "0\n2")
        #expect(try database.sql("SELECT sum(reserved) FROM intents") == "16")
    }

    @Test func `a rate's lease comes back whole`() throws {
        try database.set(100, window: "minute", resource: "requests")
        #expect(try database.grant(10, 0, [30]) == "granted|30|70")
        #expect(try database.reap() == "1|1|0")
        #expect(try database.window() == "0|0|0|0|100")
    }

    @Test func `a rate that was used beyond its estimate closes all the same`() throws {
        try database.set(100, window: "minute", resource: "tokens")
        #expect(try database.grant(10, 0, [13]) == "granted|13|87")
        #expect(try database.giveBack(10, 1, 0, closes: true, used: 39) == "done")
        #expect(try database.window() == "39|0|0|0|100")
        #expect(try database.broken() == "")
    }

    @Test func `a voided intent leaves those of the call's other budgets`() throws {
        let other = BudgetDatabase.id(3)
        try database.set(100, mode: "strict")
        try database.set(100, mode: "strict", id: other)
        #expect(try database.grant(10, 0, [30], mode: "strict") == "granted|30|70")
        #expect(try database.grant(11, 0, [30], of: other, mode: "strict") == "granted|30|70")
        for lease in [10, 11] { #expect(try database.intent(lease, request: 0, reserved: 10) == "1") }
        let request = LedgerFixture().record(0).id
        try database.sql(
            "SELECT void_intents('\(database.gateway)', '\(BudgetDatabase.id(10))', '\(request)', 0, 1, 1)")
        #expect(try database.reap() == "1|2|10")
        #expect(try database.lease(10) == "expired|30|0|30|0|0")
        #expect(try database.lease(11) == "expired|30|0|20|10|0")
        #expect(try database.broken() == "")
    }

    // MARK: Changes

    @Test func `a lower amount takes nothing back that is out, and the cap follows it down`() async throws {
        try database.set(100)
        #expect(try database.grant(10, 0, [80]) == "granted|80|20")
        try await database.charge(0, [(lease: 10, reserved: 40, charged: 40)])
        try database.set(10)
        #expect(try database.window() == "0|80|0|0|80")
        #expect(try database.grant(10, 1, [1]) == "exhausted|0|0")
        #expect(try database.giveBack(10, 1, 40, closes: true) == "done")
        #expect(try database.window() == "40|0|0|0|40")
        try database.set(50)
        #expect(try database.grant(11, 0, [20]) == "granted|10|0")
        #expect(try database.broken() == "")
    }

    @Test func `what a budget counts cannot change`() throws {
        try database.set(100)
        #expect(throws: TemporaryPostgres.Failure.self) { try database.set(100, window: "month") }
        #expect(try database.sql("SELECT count(*) FROM budget_changes") == "1")
    }

    @Test func `an adjustment is a row, and not below nothing`() async throws {
        try database.set(100)
        func adjust(_ kind: String, _ tokens: Int) throws {
            try database.sql(
                "SELECT adjust_budget('\(database.budget)', '\(kind)', \(tokens), NULL, 'tester', 'a test')")
        }
        try adjust("charged", 120)
        #expect(try database.window() == "120|0|0|0|120")
        try adjust("charged", -70)
        #expect(try database.window() == "50|0|0|0|100")
        #expect(throws: TemporaryPostgres.Failure.self) { try adjust("charged", -51) }
        #expect(throws: TemporaryPostgres.Failure.self) { try adjust("unreconciled", 1) }
        #expect(try database.grant(10, 0, [30]) == "granted|30|20")
        #expect(try database.reap() == "1|1|30")
        try adjust("unreconciled", -30)
        #expect(try database.window() == "50|0|0|0|100")
        #expect(try database.sql("SELECT sum(tokens) FROM budget_adjustments") == "20")
        #expect(try database.broken() == "")
        // A late charge after somebody took the doubt away is a fact all the same.
        try await database.charge(0, [(lease: 10, reserved: 10, charged: 9)])
        #expect(try database.giveBack(10, 1, 21, closes: true) == "done")
        #expect(try database.window() == "59|0|0|0|100")
        #expect(try database.lease(10) == "expired|39|9|30|0|9")
        #expect(try database.broken() == "")
    }

    @Test func `what an open lease has used can be taken away too`() async throws {
        try database.set(100)
        #expect(try database.grant(10, 0, [100]) == "granted|100|0")
        try await database.charge(0, [(lease: 10, reserved: 60, charged: 60)])
        try database.sql("SELECT adjust_budget('\(database.budget)', 'charged', -60, NULL, 'tester', 'a refund')")
        #expect(throws: TemporaryPostgres.Failure.self) {
            try database.sql("SELECT adjust_budget('\(database.budget)', 'charged', -1, NULL, 'tester', 'too much')")
        }
        #expect(try database.sql("SELECT used, remaining FROM budget_usage WHERE is_current") == "0|60")
        #expect(try database.grant(10, 1, [60]) == "granted|60|0")
        #expect(try database.giveBack(10, 2, 100, closes: true) == "done")
        #expect(try database.window() == "0|0|0|0|100")
        #expect(try database.broken() == "")
    }

    @Test(arguments: [
        "UPDATE budget_windows SET charged = 0", "DELETE FROM budget_windows", "UPDATE leases SET settled = 1",
        "DELETE FROM leases", "UPDATE charges SET charged = 0", "DELETE FROM charges", "TRUNCATE charges",
        "UPDATE budget_adjustments SET tokens = 1", "DELETE FROM budget_changes",
    ])
    func `counters and records cannot be edited by hand`(statement: String) async throws {
        try database.set(100)
        #expect(try database.grant(10, 0, [30]) == "granted|30|70")
        try await database.charge(0, [(lease: 10, reserved: 10, charged: 7)])
        try database.sql("SELECT adjust_budget('\(database.budget)', 'charged', 1, NULL, 'tester', 'a test')")
        #expect(throws: TemporaryPostgres.Failure.self) { try database.sql(statement) }
        #expect(try database.window() == "1|30|0|0|100")
    }

    @Test func `a locked row is waited for no longer than a second`() async throws {
        try database.set(100)
        #expect(try database.grant(10, 0, [1]) == "granted|1|99")
        let holder = database
        async let forgotten: String = Task.detached {
            try holder.sql("BEGIN; SELECT charged FROM budget_windows FOR UPDATE; SELECT pg_sleep(3); COMMIT")
        }.value
        let asleep =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
        while try database.sql(asleep) == "0" {}
        #expect(throws: TemporaryPostgres.Failure.self) { try database.grant(10, 1, [1]) }
        _ = try await forgotten
        #expect(try database.grant(10, 1, [1]) == "granted|1|98")
    }
}
