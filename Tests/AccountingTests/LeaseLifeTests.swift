import Accounting
import Testing

/// Leases: what comes back, when, and what never does.
@Suite struct LeaseLifeTests {
    /// A book with a lease of 30 tokens of budget 1, of which ask 1 holds 10.
    private static func held(_ definition: BudgetDefinition = .test(1, amount: 40), left: Int64? = nil) -> BookScript {
        var script = BookScript(definition)
        _ = script.call(1, 10)
        script.granted(0, 1, 30, left: left, pool: 10)
        _ = script.actions()
        return script
    }

    // MARK: Settling

    @Test func `what a call did not use is free again`() {
        var script = Self.held()
        script.settle(1, 4)
        #expect(script.charges[1] == [ChargeRecord(lease: id(0), budget: id(1), reserved: 10, charged: 4)])
        // 20 + (10 - 4) are free.
        #expect(script.counts(0) == "26 + 0 + 4 + 0 + 0 = 30")
    }

    @Test func `a call that used nothing has no charge, unless it has an intent`() {
        var script = Self.held()
        script.settle(1, 0)
        #expect(script.charges[1] == [])
        var strict = Self.held(.test(1, amount: 40, mode: .strict))
        #expect(strict.holds[1]?[0].segment != nil)
        strict.settle(1, 0)
        #expect(strict.charges[1] == [ChargeRecord(lease: id(0), budget: id(1), reserved: 10, charged: 0)])
    }

    @Test func `what a server sends beyond the reservation is taken from the lease, and then it is an overrun`() {
        var script = Self.held()
        script.settle(1, 45)
        // 10 were held, 20 were free: 15 are beyond the lease, which grows by them.
        #expect(script.charges[1] == [ChargeRecord(lease: id(0), budget: id(1), reserved: 30, charged: 45)])
        #expect(script.charges[1]?[0].overrun == 15)
        #expect(script.counts(0) == "0 + 0 + 45 + 0 + 0 = 45")
        #expect(script.book.counts.overrunTokens == 15)
    }

    @Test func `a use within the lease is no overrun`() {
        var script = Self.held()
        script.settle(1, 25)
        #expect(script.charges[1] == [ChargeRecord(lease: id(0), budget: id(1), reserved: 25, charged: 25)])
        #expect(script.counts(0) == "5 + 0 + 25 + 0 + 0 = 30")
    }

    @Test func `a dropped reservation is lost, not free`() {
        var script = Self.held()
        script.abandon(1)
        #expect(script.counts(0) == "20 + 0 + 0 + 10 + 0 = 30")
        #expect(script.book.counts.lostTokens == 10)
        script.book.drain(now: 0)
        #expect(script.actions() == ["return 0.1 of b1: 20, lost 10, closes"])
    }

    @Test func `of a rate nothing is lost`() {
        var script = BookScript(.test(1, resource: .requests, amount: 5), .test(2, resource: .concurrency, amount: 5))
        _ = script.reserve(1, .request(tokens: 7))
        script.granted(0, 1, 1)
        script.granted(1, 2, 1)
        _ = script.actions()
        script.abandon(1)
        #expect(script.counts(0) == "0 + 0 + 1 + 0 + 0 = 1")
        #expect(script.counts(1) == "1 + 0 + 0 + 0 + 0 = 1")
        #expect(script.book.counts.lostTokens == 0)
    }

    @Test func `a lease is open until the ledger has confirmed all that was used`() {
        var script = Self.held()
        script.settle(1, 4)
        script.book.drain(now: 0)
        #expect(script.actions() == ["return 0.1 of b1: 26"])
        script.gaveBack(0, 1)
        script.tick(at: quarter)
        #expect(script.actions() == [] && !script.book.isEmpty)
        script.confirm(1)
        script.tick(at: 2 * quarter)
        #expect(script.actions() == ["return 0.2 of b1: 0, closes"])
        script.gaveBack(0, 1)
        #expect(script.book.isEmpty)
    }

    @Test func `a charge of nothing may be confirmed after its lease was closed`() {
        var script = Self.held(.test(1, amount: 40, mode: .strict))
        script.settle(1, 0)
        script.book.drain(now: 0)
        script.gaveBack(0, 1)
        #expect(script.book.isEmpty)
        script.confirm(1)
        #expect(script.book.isEmpty)
    }

    // MARK: Idle tokens

    @Test func `what nobody has used for a second goes back`() {
        var script = Self.held()
        script.settle(1, 4)
        script.confirm(1)
        // Twice the 10 of lately are worth holding; 26 are free.
        script.tick(at: quarter)
        #expect(script.actions() == ["return 0.1 of b1: 6"])
        script.gaveBack(0, 1)
        // From 0.5 s on the 10 are in the bucket before, from 1 s on in none.
        script.tick(at: 2 * quarter)
        script.tick(at: 3 * quarter)
        #expect(script.actions() == [])
        script.tick(at: 4 * quarter)
        #expect(script.actions() == ["return 0.2 of b1: 20, closes"])
        script.gaveBack(0, 1)
        #expect(script.book.isEmpty)
    }

    @Test func `near the end of a budget nothing is held ahead`() {
        var script = BookScript(.test(1, amount: 100))
        _ = script.call(1, 10)
        // Twice the 10 of lately are worth holding, and that is no less than a quarter of the 80 that are left.
        script.granted(0, 1, 10, pool: 80)
        #expect(script.actions().last == "answer 1: granted 10: 10 of b1")
        var early = BookScript(.test(1, amount: 100))
        _ = early.call(1, 10)
        early.granted(0, 1, 10, pool: 84)
        #expect(early.actions().contains("grant 0.1 of b1: needs [], spare 20"))
    }

    @Test func `slots for requests at a time are not hoarded`() {
        var script = BookScript(.test(1, resource: .concurrency, amount: 100))
        for ask in 1...3 { _ = script.reserve(UInt64(ask), .request(tokens: 7)) }
        script.granted(0, 1, 1, pool: 99)
        #expect(
            script.actions() == [
                "grant 0.0 of b1: needs [1]", "answer 1: granted 7: 1 of b1", "grant 0.1 of b1: needs [1, 1]",
            ])
    }

    // MARK: Windows and definitions

    @Test func `nothing is taken from a window that is over`() {
        var script = Self.held(left: second)
        script.now = second - 1
        #expect(script.call(2, 5) == "granted 5: 5 of b1")
        script.now = second
        #expect(script.call(3, 5) == nil)
        #expect(script.actions() == ["grant 1.0 of b1: needs [5], spare 30"])
        // The old lease gives back what is free, and pays the calls that it holds: 20 - 5.
        script.tick(at: second)
        #expect(script.actions() == ["return 0.1 of b1: 15"])
        script.settle(1, 10)
        #expect(script.charges[1]?[0].lease == id(0))
        script.granted(1, 1, 5, left: 60 * second)
        #expect(script.actions() == ["answer 3: granted 5: 5 of b1"])
    }

    @Test func `the end of a window is counted from the moment of the question`() {
        var script = BookScript(.test(1, amount: 100))
        _ = script.call(1, 10)
        let answer = LeaseBook.GrantAnswer(
            state: .granted, tokens: 30, windowLeft: second, pool: 0, leasedElsewhere: 0)
        script.book.granted(answer, lease: id(0), budget: id(1), tenant: id(0), sent: 0, now: second / 2)
        script.now = second - 1
        #expect(script.call(2, 5) == "granted 5: 5 of b1")
        script.now = second
        #expect(script.call(3, 5) == nil)
    }

    @Test(arguments: [LeaseBook.GrantAnswer.State.windowOver, .closed])
    func `a lease that the database has ended is not used any more`(state: LeaseBook.GrantAnswer.State) {
        var script = Self.held()
        #expect(script.call(2, 25) == nil)
        #expect(script.actions() == ["grant 0.1 of b1: needs [5], spare 20"])
        script.granted(0, 1, 0, state, pool: 0)
        // 25 of a new lease; the 20 of the old one go back.
        #expect(script.actions() == ["grant 1.0 of b1: needs [25], spare 20"])
        script.tick(at: quarter)
        #expect(script.actions() == ["return 0.2 of b1: 20"])
    }

    @Test func `the end of a window does not refuse who waits for another budget`() {
        var script = BookScript(.test(1, amount: 100), .test(2, amount: 100))
        _ = script.call(1, 10)
        _ = script.actions()
        script.granted(0, 1, 10, left: second, pool: 0)
        script.now = second
        script.granted(1, 2, 10, pool: 0)
        #expect(script.actions() == ["grant 2.0 of b1: needs [10]"])
        script.granted(2, 1, 10, left: 60 * second, pool: 0)
        #expect(script.actions() == ["answer 1: granted 10: 10 of b1, 10 of b2"])
    }

    @Test func `a changed budget gives back all that is free`() {
        var script = Self.held()
        script.book.define([.test(1, amount: 12)], now: 0)
        #expect(script.actions() == ["return 0.1 of b1: 20"])
        #expect(script.counts(0) == "0 + 10 + 0 + 0 + 20 = 30")
    }

    @Test func `a recall waits for the operation that is under way`() {
        var script = Self.held()
        _ = script.call(2, 25)
        #expect(script.actions() == ["grant 0.1 of b1: needs [5], spare 20"])
        script.book.define([.test(1, amount: 12)], now: 0)
        script.failed(0, 1)
        script.tick(at: 50_000)
        #expect(script.actions() == [])
        script.tick(at: 100_000)
        #expect(script.actions() == ["grant 0.1 of b1: needs [5], spare 20, again"])
        script.granted(0, 1, 25, pool: 0)
        #expect(script.actions() == ["answer 2: granted 25: 25 of b1"])
        // 20 + 25 - 25 are free. Twice the 35 of lately would be worth holding.
        script.tick(at: quarter)
        #expect(script.actions() == ["return 0.2 of b1: 20"])
    }

    @Test func `a change of mode begins a new lease`() {
        var script = Self.held()
        script.book.define([.test(1, amount: 40, mode: .strict)], now: 0)
        #expect(script.actions() == ["return 0.1 of b1: 20"])
        #expect(script.call(2, 5) == nil)
        #expect(script.actions() == ["grant 1.0 of b1: needs [5], spare 20, strict"])
        script.granted(1, 1, 5)
        #expect(script.actions() == ["answer 2: granted 5: 5 of b1"])
        #expect(script.holds[1]?[0].segment == nil && script.holds[2]?[0].segment != nil)
    }

    @Test func `a change of mode does not refuse who waits`() {
        var script = BookScript(.test(1, amount: 100), .test(2, amount: 100))
        _ = script.call(1, 10)
        _ = script.actions()
        script.granted(0, 1, 10, pool: 90)
        script.book.define([.test(1, amount: 100, mode: .strict), .test(2, amount: 100)], now: 0)
        #expect(!script.actions().contains { $0.hasPrefix("answer") })
    }

    @Test func `a budget that is removed limits nobody, and its lease goes back`() {
        var script = Self.held()
        script.book.define([], now: 0)
        #expect(script.actions() == ["return 0.1 of b1: 20"])
        #expect(script.call(2, 500) == "granted 500 of nothing")
        script.gaveBack(0, 1)
        script.settle(1, 10)
        script.confirm(1)
        script.tick(at: quarter)
        #expect(script.actions() == ["return 0.2 of b1: 0, closes"])
        script.gaveBack(0, 1)
        #expect(script.book.isEmpty)
    }

    @Test func `a budget that is gone has nothing left until it is known what took its place`() {
        var script = BookScript(.test(1, amount: 100))
        _ = script.call(1, 10)
        _ = script.actions()
        script.granted(0, 1, 0, .gone)
        #expect(script.actions() == ["answer 1: b1 is exhausted"])
        #expect(script.call(2, 10) == "b1 is exhausted")
        script.book.define([], now: 0)
        #expect(script.call(3, 10) == "granted 10 of nothing")
        #expect(script.book.isEmpty)
    }

    @Test func `what an empty budget has said is believed for a quarter of a second`() {
        var script = BookScript(.test(1, amount: 100))
        _ = script.call(1, 10)
        _ = script.actions()
        script.granted(0, 1, 0, .exhausted)
        #expect(script.actions() == ["answer 1: b1 is exhausted"])
        #expect(script.call(2, 10) == "b1 is exhausted")
        #expect(script.actions() == [])
        script.tick(at: quarter)
        #expect(script.call(3, 10) == nil)
        #expect(script.actions().count == 1)
    }
}
