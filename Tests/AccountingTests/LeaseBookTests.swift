import Accounting
import Testing

/// Asking: who gets what, in which order, and when somebody is refused.
@Suite struct LeaseBookTests {
    @Test func `a caller without budgets is never limited`() {
        var script = BookScript(.test(1, tenant: 7, amount: 1))
        #expect(script.call(1, 500) == "granted 500 of nothing")
        #expect(script.actions() == [])
    }

    @Test func `the first ask waits for the database, later ones are served from memory`() {
        var script = BookScript(.test(1, amount: 1000))
        #expect(script.call(1, 10) == nil)
        #expect(script.actions() == ["grant 0.0 of b1: needs [10]"])
        script.granted(0, 1, 30, pool: 970)
        #expect(script.actions() == ["answer 1: granted 10: 10 of b1"])
        // 30 - 10 are left.
        #expect(script.counts(0) == "20 + 10 + 0 + 0 + 0 = 30")
        #expect(script.call(2, 12) == "granted 12: 12 of b1")
        // 10 + 12 were used lately; twice that is worth holding, 8 are left, which is less than half of 44.
        #expect(script.actions() == ["grant 0.1 of b1: needs [], spare 36"])
        #expect(script.call(3, 8) == "granted 8: 8 of b1")
    }

    @Test func `only what is missing is asked for`() {
        var script = BookScript(.test(1, amount: 1000))
        _ = script.call(1, 10)
        script.granted(0, 1, 14, pool: 0)
        _ = script.actions()
        #expect(script.call(2, 9) == nil)
        // 14 - 10 are free, 9 - 4 are missing; twice the 10 of lately are wanted beside them.
        #expect(script.actions() == ["grant 0.1 of b1: needs [5], spare 20"])
    }

    @Test func `a call is cut to what is left, once the database was asked`() {
        var script = BookScript(.test(1, amount: 8))
        #expect(script.call(1, 20, smallest: 5) == nil)
        #expect(script.actions() == ["grant 0.0 of b1: needs [20]"])
        script.granted(0, 1, 8)
        #expect(script.actions() == ["answer 1: granted 8: 8 of b1"])
        #expect(script.book.counts.clamped == 1)
    }

    @Test func `a lease that is nearly empty does not cut a call`() {
        var script = BookScript(.test(1, amount: 1000))
        _ = script.call(1, 10)
        script.granted(0, 1, 16, pool: 80)
        _ = script.actions()
        #expect(script.call(2, 20, smallest: 1) == nil)
        script.tick(at: quarter)
        // 20 - 6 are missing. Nobody is served with the 6.
        #expect(script.actions() == ["grant 0.1 of b1: needs [14], spare 20"])
        script.granted(0, 1, 14, pool: 66)
        #expect(script.actions().first == "answer 2: granted 20: 20 of b1")
    }

    @Test func `a prompt is reserved whole where it is billed`() {
        var script = BookScript(.test(1, counts: .billed, amount: 16))
        #expect(script.call(1, 20, smallest: 5, prompt: 6) == nil)
        #expect(script.actions() == ["grant 0.0 of b1: needs [26]"])
        script.granted(0, 1, 16)
        // 16 - 6 of prompt.
        #expect(script.actions() == ["answer 1: granted 10: 16 of b1"])
    }

    @Test(arguments: [(true, 9, 8), (true, 1, 0), (false, 1, 0)])
    func `too little is a refusal, and takes nothing`(clamps: Bool, smallest: Int, given: Int) {
        var script = BookScript(.test(1, amount: 8, clamps: clamps))
        _ = script.call(1, 20, smallest: smallest)
        _ = script.actions()
        script.granted(0, 1, given, given > 0 ? .granted : .exhausted)
        #expect(script.actions() == ["answer 1: b1 is exhausted"])
        #expect(script.book.counts.refusals == 1 && script.book.counts.reservations == 0)
        if given > 0 { #expect(script.counts(0) == "8 + 0 + 0 + 0 + 0 = 8") }
    }

    @Test(arguments: [(true, "granted 5: 5 of b1"), (false, "b1 is exhausted")])
    func `what is free here is a part only where the budget clamps`(clamps: Bool, verdict: String) {
        var script = BookScript(.test(1, amount: 15, clamps: clamps))
        _ = script.call(1, 10)
        script.granted(0, 1, 15)
        _ = script.actions()
        _ = script.call(2, 20)
        #expect(script.actions() == ["grant 0.1 of b1: needs [15], spare 20"])
        script.granted(0, 1, 0, .exhausted)
        #expect(script.actions() == ["answer 2: \(verdict)"])
    }

    @Test func `all budgets that count a call have to grant it`() {
        var script = BookScript(.test(1, amount: 100), .test(2, key: 1, amount: 100), .test(3, key: 9, amount: 100))
        #expect(script.call(1, 10, key: 1) == nil)
        #expect(script.actions() == ["grant 0.0 of b1: needs [10]", "grant 1.0 of b2: needs [10]"])
        script.granted(0, 1, 10)
        #expect(script.actions() == [])
        script.granted(1, 2, 10)
        #expect(script.actions() == ["answer 1: granted 10: 10 of b1, 10 of b2"])
    }

    @Test func `the budget that refuses takes nothing from the others`() {
        var script = BookScript(.test(1, amount: 100), .test(2, amount: 5, clamps: false))
        _ = script.call(1, 10)
        _ = script.actions()
        script.granted(0, 1, 10)
        script.granted(1, 2, 0, .exhausted)
        #expect(script.actions() == ["answer 1: b2 is exhausted"])
        #expect(script.counts(0) == "10 + 0 + 0 + 0 + 0 = 10")
        script.tick(at: quarter)
        #expect(script.actions() == ["return 0.1 of b1: 10, closes"])
    }

    @Test func `the tightest budget cuts a call for all of them`() {
        var script = BookScript(.test(1, amount: 100), .test(2, amount: 4))
        _ = script.call(1, 10)
        _ = script.actions()
        script.granted(0, 1, 10)
        script.granted(1, 2, 4)
        #expect(script.actions() == ["answer 1: granted 4: 4 of b1, 4 of b2"])
        #expect(script.counts(0) == "6 + 4 + 0 + 0 + 0 = 10")
    }

    @Test func `nobody overtakes one who waits for the same budget`() {
        var script = BookScript(.test(1, amount: 100), .test(2, key: 1, amount: 100))
        _ = script.call(1, 10, key: 1)
        _ = script.actions()
        script.granted(0, 1, 30)
        // 30 are free in b1, and 5 would be enough for the second; the first still waits for b2.
        #expect(script.call(2, 5) == nil)
        #expect(script.actions() == [])
        script.granted(1, 2, 10)
        #expect(script.actions() == ["answer 1: granted 10: 10 of b1, 10 of b2", "answer 2: granted 5: 5 of b1"])
    }

    @Test func `those who wait for other budgets are overtaken`() {
        var script = BookScript(.test(1, key: 1, amount: 100), .test(2, key: 2, amount: 100))
        _ = script.call(1, 10, key: 1)
        _ = script.call(2, 10, key: 2)
        _ = script.actions()
        script.granted(1, 2, 10)
        #expect(script.actions() == ["answer 2: granted 10: 10 of b2"])
    }

    @Test func `asks that wait share one grant, of at most 64 needs`() {
        var script = BookScript(.test(1, amount: 1000))
        for ask in 1...70 { _ = script.call(UInt64(ask), 2) }
        #expect(script.actions() == ["grant 0.0 of b1: needs [2]"])
        script.granted(0, 1, 2)
        // The first was in flight alone; 69 are left.
        let needs = Array(repeating: 2, count: 64)
        #expect(script.actions() == ["answer 1: granted 2: 2 of b1", "grant 0.1 of b1: needs \(needs), spare 4"])
    }

    @Test func `what did not fit beside an earlier ask is asked for again`() {
        var script = BookScript(.test(1, amount: 8))
        _ = script.call(1, 1)
        _ = script.call(2, 4)
        _ = script.call(3, 6, smallest: 2)
        _ = script.actions()
        script.granted(0, 1, 1, pool: 7)
        #expect(script.actions() == ["answer 1: granted 1: 1 of b1", "grant 0.1 of b1: needs [4, 6], spare 2"])
        // 4 fit into 7, 4 + 6 do not.
        script.granted(0, 1, 4, pool: 3)
        #expect(script.actions() == ["answer 2: granted 4: 4 of b1", "grant 0.2 of b1: needs [6], spare 10"])
        script.granted(0, 1, 3, pool: 0)
        #expect(script.actions() == ["answer 3: granted 3: 3 of b1"])
    }

    @Test func `those who wait come before what is worth holding`() {
        var script = BookScript(.test(1, amount: 15))
        _ = script.call(1, 1)
        _ = script.call(2, 4)
        _ = script.actions()
        // A quarter of 14 is more than twice the 1 of lately: there would be enough to hold some ahead.
        script.granted(0, 1, 1, pool: 14)
        #expect(script.actions() == ["answer 1: granted 1: 1 of b1", "grant 0.1 of b1: needs [4], spare 2"])
    }

    @Test func `free tokens are promised to one ask only`() {
        var script = BookScript(.test(1, amount: 100), .test(2, key: 1, amount: 100))
        _ = script.call(1, 4, key: 1)
        _ = script.actions()
        script.granted(0, 1, 4, pool: 96)
        // The 4 that are free are for the first, who waits for b2: all 90 are missing.
        #expect(script.call(2, 90, smallest: 90) == nil)
        #expect(script.actions() == ["grant 0.1 of b1: needs [90]"])
    }

    @Test func `what was granted stays while its ask waits for another budget`() {
        var script = BookScript(.test(1, amount: 100), .test(2, amount: 100))
        _ = script.call(1, 10)
        _ = script.actions()
        script.granted(0, 1, 10, pool: 40)
        script.tick(at: quarter)
        script.tick(at: 2 * quarter)
        #expect(script.actions() == [])
        script.granted(1, 2, 10, pool: 40)
        #expect(script.actions() == ["answer 1: granted 10: 10 of b1, 10 of b2"])
    }

    @Test func `what those ahead will take stays too`() {
        var script = BookScript(.test(1, amount: 100), .test(2, key: 1, amount: 100))
        _ = script.call(1, 1)
        script.granted(0, 1, 31, pool: 69)
        _ = script.actions()
        script.settle(1, 0)
        _ = script.call(2, 30, key: 1)
        _ = script.call(3, 30)
        // 31 - 30 for the first; b2 keeps that one waiting.
        #expect(script.actions().last == "grant 0.1 of b1: needs [29], spare 2")
        script.granted(0, 1, 29, pool: 40)
        script.tick(at: 4 * quarter)
        #expect(script.counts(0) == "60 + 0 + 0 + 0 + 0 = 60")
        script.granted(1, 2, 30, pool: 70)
        #expect(script.actions() == ["answer 2: granted 30: 30 of b1, 30 of b2", "answer 3: granted 30: 30 of b1"])
    }

    @Test func `an ask that is whole again is not refused for the part that it was cut to`() {
        var script = BookScript(.test(1, amount: 25), .test(2, amount: 100))
        _ = script.call(1, 28)
        _ = script.actions()
        script.granted(0, 1, 25)
        // b3 is asked for 25; then b1 is recalled, and may give more.
        script.book.define(
            [.test(1, amount: 60), .test(2, amount: 100), .test(3, amount: 100, clamps: false)], now: 0)
        #expect(script.actions() == ["grant 2.0 of b3: needs [25]", "return 0.1 of b1: 25, closes"])
        script.granted(2, 3, 25, pool: 75)
        #expect(script.actions() == ["grant 2.1 of b3: needs [3]"])
    }

    @Test func `a probe takes nothing, and asks only budgets that reject`() {
        var script = BookScript(.test(1, amount: 100, onExhausted: .reject), .test(2, amount: 100))
        #expect(script.reserve(1, .probe) == nil)
        #expect(script.reserve(2, .probe) == nil)
        #expect(script.actions() == ["grant 0.0 of b1: needs [1]"])
        script.granted(0, 1, 1)
        #expect(script.actions() == ["answer 1: granted 0 of nothing", "answer 2: granted 0 of nothing"])
        #expect(script.counts(0) == "1 + 0 + 0 + 0 + 0 = 1")
        #expect(script.book.counts.reservations == 0)
    }

    @Test func `a probe tells that a budget is used up`() {
        var script = BookScript(.test(1, amount: 0, onExhausted: .reject))
        _ = script.reserve(1, .probe)
        script.granted(0, 1, 0, .exhausted)
        #expect(script.actions().last == "answer 1: b1 is exhausted")
    }

    @Test func `an ask for no tokens is granted without a lease`() {
        var script = BookScript(.test(1, amount: 100))
        #expect(script.call(1, 0) == "granted 0 of nothing")
        script.settle(1)
        #expect(script.book.isEmpty)
    }

    @Test func `who has waited for two seconds hears that nobody can say`() {
        var script = BookScript(.test(1, amount: 100))
        _ = script.call(1, 10)
        _ = script.actions()
        script.failed(0, 1)
        script.tick(at: 2 * second - 1)
        #expect(script.actions() == ["grant 0.0 of b1: needs [10], again"])
        script.tick(at: 2 * second)
        #expect(script.actions() == ["answer 1: unavailable"])
        #expect(script.book.counts.unavailable == 1 && script.book.waitingCount == 0)
        // What comes too late is kept for the next, or goes back.
        script.granted(0, 1, 10)
        #expect(script.call(2, 10) == "granted 10: 10 of b1")
    }

    @Test func `an ask that is withdrawn gets no answer, and nobody waits behind it`() {
        var script = BookScript(.test(1, amount: 100), .test(2, key: 1, amount: 100))
        _ = script.call(1, 10, key: 1)
        _ = script.call(2, 5)
        _ = script.actions()
        script.granted(0, 1, 10)
        #expect(script.actions() == ["grant 0.1 of b1: needs [5]"])
        script.book.withdraw(1, tenant: id(0), now: 0)
        #expect(script.actions() == ["answer 2: granted 5: 5 of b1"])
        #expect(script.book.waitingCount == 0)
    }

    @Test func `a request reserves from rates, a call from budgets of LLM tokens`() {
        var script = BookScript(
            .test(1, amount: 100), .test(2, resource: .requests, amount: 10), .test(3, resource: .tokens, amount: 900),
            .test(4, resource: .concurrency, amount: 3))
        #expect(script.reserve(1, .request(tokens: 50)) == nil)
        #expect(
            script.actions() == [
                "grant 0.0 of b2: needs [1]", "grant 1.0 of b3: needs [50]", "grant 2.0 of b4: needs [1]",
            ])
        script.granted(0, 2, 1)
        script.granted(1, 3, 50)
        script.granted(2, 4, 1)
        #expect(script.actions() == ["answer 1: granted 50: 1 of b2, 50 of b3, 1 of b4"])
        // It used 30 of 50 tokens; a slot is free again, a request stays spent. A rate has no charges.
        script.settle(1, 1, 30, 0)
        #expect(script.charges[1] == [])
        #expect(script.counts(0) == "0 + 0 + 1 + 0 + 0 = 1")
        #expect(script.counts(1) == "20 + 0 + 30 + 0 + 0 = 50")
        #expect(script.counts(2) == "1 + 0 + 0 + 0 + 0 = 1")
        // Rates are settled by the gateway's own word, when the lease closes.
        script.book.drain(now: 0)
        #expect(
            script.actions() == [
                "return 0.1 of b2: 0, used 1, closes", "return 1.1 of b3: 20, used 30, closes",
                "return 2.1 of b4: 1, closes",
            ])
    }
}
