import Accounting
import Testing

/// Operations whose outcome nobody knows, gateways that are taken for dead, and the end.
@Suite struct LeaseTroubleTests {
    private static func held(amount: Int = 40) -> BookScript {
        var script = BookScript(.test(1, amount: amount))
        _ = script.call(1, 10)
        script.granted(0, 1, 30, pool: 10)
        _ = script.actions()
        return script
    }

    // MARK: Retrying

    @Test func `an operation that failed is sent again, the same, ever more slowly`() {
        var script = BookScript(.test(1, amount: 100))
        _ = script.call(1, 10)
        #expect(script.actions() == ["grant 0.0 of b1: needs [10]"])
        // 100 ms after the first failure, then 200, 400, 800, 1600, and no slower.
        for pause in [100, 200, 400, 800, 1600, 1600] as [Int64] {
            script.failed(0, 1)
            let failed = script.now
            script.tick(at: failed + pause * 1000 - 1)
            #expect(script.actions().filter { !$0.hasPrefix("answer") } == [])
            script.tick(at: failed + pause * 1000)
            #expect(script.actions().filter { !$0.hasPrefix("answer") } == ["grant 0.0 of b1: needs [10], again"])
        }
    }

    @Test func `while an operation is under way there is no other`() {
        var script = Self.held()
        _ = script.call(2, 25)
        #expect(script.actions() == ["grant 0.1 of b1: needs [5], spare 20"])
        _ = script.call(3, 40)
        script.tick(at: quarter)
        #expect(script.actions() == [])
        script.granted(0, 1, 5, pool: 5)
        #expect(script.actions() == ["answer 2: granted 25: 25 of b1", "grant 0.2 of b1: needs [40], spare 70"])
    }

    @Test func `tokens on their way back are not reserved`() {
        var script = Self.held()
        script.book.define([.test(1, amount: 41)], now: 0)
        #expect(script.actions() == ["return 0.1 of b1: 20"])
        script.failed(0, 1)
        #expect(script.call(2, 5) == nil)
        #expect(script.counts(0) == "0 + 10 + 0 + 0 + 20 = 30")
        script.tick(at: quarter)
        #expect(script.actions() == ["return 0.1 of b1: 20"])
        script.gaveBack(0, 1)
        #expect(script.actions() == ["grant 0.2 of b1: needs [5], spare 20"])
    }

    @Test func `what the database did not take back is still here, and is tried again later`() {
        var script = Self.held()
        script.settle(1, 4)
        script.confirm(1)
        script.book.drain(now: 0)
        #expect(script.actions() == ["return 0.1 of b1: 26, closes"])
        script.gaveBack(0, 1, isDone: false)
        #expect(script.counts(0) == "26 + 0 + 4 + 0 + 0 = 30")
        script.tick(at: second - 1)
        #expect(script.actions() == [])
        script.tick(at: second)
        #expect(script.actions() == ["return 0.2 of b1: 26, closes"])
    }

    @Test func `a lease whose return was refused is not used any more`() {
        var script = Self.held()
        script.book.define([.test(1, amount: 41)], now: 0)
        script.gaveBack(0, 1, isDone: false)
        _ = script.actions()
        #expect(script.call(2, 5) == nil)
        #expect(script.actions() == ["grant 1.0 of b1: needs [5], spare 20"])
    }

    // MARK: Life

    @Test func `a gateway reserves nothing before the database knows it`() {
        let ids = Numbering()
        var book = LeaseBook { ids.next() }
        book.define([.test(1, amount: 100)], now: 0)
        let ask = ReservationAsk(tenant: id(0), key: id(0), purpose: .call(tokens: 5, smallest: 1, prompt: 0))
        #expect(book.reserve(ask, id: 1, now: 0) == nil)
        #expect(book.takeActions() == [])
        book.renewed(sent: 0, now: second)
        #expect(book.takeActions().map(\.text) == ["grant 0.0 of b1: needs [5]"])
    }

    @Test func `ten seconds after its last renewal was sent a gateway reserves nothing`() {
        var script = Self.held()
        script.now = 10 * second - 1
        #expect(script.call(2, 5) == "granted 5: 5 of b1")
        script.now = 10 * second
        #expect(script.call(3, 5) == nil)
        #expect(script.actions() == [])
        // The answer comes late: what counts is when it was asked for.
        script.book.renewed(sent: 9 * second, now: 11 * second)
        #expect(script.actions() == ["answer 3: granted 5: 5 of b1"])
        script.now = 19 * second
        #expect(script.call(4, 5) == nil)
    }

    @Test func `an older renewal does not shorten a life`() {
        var script = Self.held()
        script.book.renewed(sent: 5 * second, now: 5 * second)
        script.book.renewed(sent: 1 * second, now: 6 * second)
        #expect(script.book.aliveUntil == 15 * second)
    }

    @Test func `who was taken for dead settles and returns late, and reserves from new leases`() {
        var script = Self.held()
        script.now = 12 * second
        script.book.expired(now: script.now)
        #expect(script.actions() == ["return 0.1 of b1: 20"])
        #expect(script.call(2, 5) == nil)
        script.book.renewed(sent: script.now, now: script.now)
        #expect(script.actions() == ["grant 1.0 of b1: needs [5]"])
        script.settle(1, 10)
        #expect(script.charges[1] == [ChargeRecord(lease: id(0), budget: id(1), reserved: 10, charged: 10)])
        script.gaveBack(0, 1)
        script.confirm(1)
        script.tick(at: 13 * second)
        #expect(script.actions() == ["return 0.2 of b1: 0, closes"])
    }

    @Test func `being taken for dead does not refuse who waits`() {
        var script = BookScript(.test(1, amount: 100), .test(2, amount: 100))
        _ = script.call(1, 10)
        script.granted(0, 1, 10)
        _ = script.actions()
        script.book.expired(now: second)
        script.book.renewed(sent: second, now: second)
        // The grant of b2 has no answer yet; if it comes, it is for the dead.
        #expect(
            script.actions() == [
                "return 0.1 of b1: 10, closes", "grant 2.0 of b1: needs [10]", "grant 3.0 of b2: needs [10]",
            ])
    }

    @Test func `a grant to the dead ends all leases`() {
        var script = Self.held()
        _ = script.call(2, 25)
        _ = script.actions()
        script.granted(0, 1, 0, .expired)
        #expect(script.book.aliveUntil == Int64.min)
        #expect(script.actions() == ["return 0.2 of b1: 20"])
    }

    @Test func `what the dead hear late does not end the living`() {
        var script = Self.held()
        _ = script.call(2, 25)
        script.failed(0, 1)
        script.book.expired(now: 0)
        script.book.renewed(sent: 0, now: 0)
        script.granted(1, 1, 25, pool: 0)
        _ = script.actions()
        script.granted(0, 1, 0, .expired)
        #expect(script.book.aliveUntil == 10 * second)
        #expect(script.book.leases.map(\.lease.isEnding).sorted { !$0 && $1 } == [false, true])
    }

    @Test func `a grant that was made before the end goes back after it`() {
        var script = Self.held()
        _ = script.call(2, 25)
        script.failed(0, 1)
        script.book.expired(now: 0)
        _ = script.actions()
        script.granted(0, 1, 5, .closed)
        script.tick(at: quarter)
        #expect(script.actions() == ["return 0.2 of b1: 25"])
    }

    // MARK: The end

    @Test func `a gateway that drains refuses all, and gives back all`() {
        var script = Self.held()
        _ = script.call(2, 25)
        _ = script.actions()
        script.book.drain(now: 0)
        #expect(script.actions() == ["answer 2: unavailable"])
        #expect(script.call(3, 1) == "unavailable")
        script.granted(0, 1, 5)
        script.tick(at: quarter)
        #expect(script.actions() == ["return 0.2 of b1: 25"])
        script.gaveBack(0, 1)
        script.settle(1, 0)
        script.tick(at: 2 * quarter)
        #expect(script.actions() == ["return 0.3 of b1: 10, closes"])
        script.gaveBack(0, 1)
        #expect(script.book.isEmpty && script.book.waitingCount == 0)
    }

    @Test func `how budgets stand: what is left in the pool and here, and when it begins again`() {
        var script = BookScript(.test(1, amount: 100), .test(2, key: 1, amount: 50))
        _ = script.call(1, 10)
        script.granted(0, 1, 12, left: 60 * second, pool: 8)
        let standing = script.book.standing(tenant: id(0), key: id(0), now: 20 * second)
        // 8 in the pool, 12 - 10 here.
        #expect(
            standing == [
                BudgetStanding(name: "b1", resource: .llmTokens, amount: 100, remaining: 10, resetsIn: .seconds(40))
            ])
        #expect(script.book.standing(tenant: id(0), key: id(1), now: 0).map(\.name) == ["b1", "b2"])
    }
}
