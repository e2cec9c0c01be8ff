import Accounting
import Synchronization
import Testing

/// Hears how reservations end.
private final class Owner: ReservationOwner {
    let endings = Mutex<[String]>([])

    func settle(_ holds: [Hold], used: [Int]) -> [ChargeRecord] {
        endings.withLock { $0.append("settled \(used)") }
        return zip(holds, used).map {
            ChargeRecord(lease: $0.lease, budget: $0.budget, reserved: $0.tokens, charged: $1)
        }
    }

    func abandon(_ holds: [Hold]) { endings.withLock { $0.append("abandoned \(holds.map(\.tokens))") } }

    var heard: [String] { endings.withLock(\.self) }
}

@Suite struct ReservationTests {
    private static func hold(
        _ resource: Resource = .llmTokens, _ counts: CountedTokens = .generated, _ tokens: Int
    ) -> Hold {
        Hold(
            tenant: id(0), budget: id(1), lease: id(2), resource: resource, counts: counts, tokens: tokens, segment: nil
        )
    }

    /// A call of 50 tokens with a prompt of at most 30, under two budgets.
    private static let call = [hold(.llmTokens, .generated, 50), hold(.llmTokens, .billed, 80)]
    private static let request = [
        hold(.requests, .generated, 1), hold(.tokens, .generated, 90), hold(.concurrency, .generated, 1),
    ]

    @Test func `each budget is charged for the tokens that it counts`() {
        let owner = Owner()
        let charges = Reservation(tokens: 50, holds: Self.call, owner: owner).settle(generated: 20, prompt: 25)
        // 20 + 25 are billed.
        #expect(owner.heard == ["settled [20, 45]"])
        #expect(charges.map(\.charged) == [20, 45] && charges.map(\.reserved) == [50, 80])
    }

    @Test(arguments: [
        (-5, 10, [0, 10]), (10, -5, [10, 10]), (Int.max, 1, [Int.max, Int.max]),
        (Int.max, Int.max, [Int.max, Int.max]),
        (Int.min, Int.min, [0, 0]),
    ])
    func `no number that a server tells can trap`(generated: Int, prompt: Int, used: [Int]) {
        let owner = Owner()
        _ = Reservation(tokens: 50, holds: Self.call, owner: owner).settle(generated: generated, prompt: prompt)
        #expect(owner.heard == ["settled \(used)"])
    }

    @Test(arguments: [(70, [1, 70, 0]), (-1, [1, 0, 0]), (Int.max, [1, Int.max, 0])])
    func `a request stays spent, its slot is free, its tokens are what it used`(tokens: Int, used: [Int]) {
        let owner = Owner()
        Reservation(tokens: 90, holds: Self.request, owner: owner).settle(requestTokens: tokens)
        #expect(owner.heard == ["settled \(used)"])
    }

    @Test func `what is cancelled has used nothing`() {
        let owner = Owner()
        Reservation(tokens: 50, holds: Self.call, owner: owner).cancel()
        Reservation(tokens: 90, holds: Self.request, owner: owner).cancel()
        #expect(owner.heard == ["settled [0, 0]", "settled [0, 0, 0]"])
    }

    @Test func `a reservation that is dropped is abandoned, and not otherwise`() {
        let owner = Owner()
        do {
            let reservation = Reservation(tokens: 50, holds: Self.call, owner: owner)
            #expect(reservation.tokens == 50 && reservation.parts == Self.call && !reservation.isUnlimited)
        }
        #expect(owner.heard == ["abandoned [50, 80]"])
        _ = Reservation(tokens: 50, holds: Self.call, owner: owner).settle(generated: 1, prompt: 1)
        #expect(owner.heard == ["abandoned [50, 80]", "settled [1, 2]"])
    }

    @Test func `a reservation that somebody drops with its answer is abandoned too`() {
        let owner = Owner()
        do { _ = ReservationAnswer.granted(Reservation(tokens: 50, holds: Self.call, owner: owner)) }
        #expect(owner.heard == ["abandoned [50, 80]"])
    }

    @Test func `without budgets there is nothing to charge`() {
        let reservation = Reservation(unlimited: 500)
        #expect(reservation.isUnlimited && reservation.tokens == 500 && reservation.parts == [])
        #expect(reservation.settle(generated: 400, prompt: 100) == [])
        Reservation(unlimited: 500).cancel()
        Reservation(unlimited: 500).settle(requestTokens: 4)
    }

    @Test(arguments: [(0, 0, 0), (10, 9, 0), (10, 10, 0), (10, 11, 1), (0, 7, 7), (0, Int.max, Int.max)])
    func `an overrun is what was used beyond the reservation`(reserved: Int, charged: Int, overrun: Int) {
        #expect(ChargeRecord(lease: id(0), budget: id(1), reserved: reserved, charged: charged).overrun == overrun)
    }

    @Test func `only LLM tokens are charged by the ledger`() {
        #expect(Resource.allCases.filter(\.isCharged) == [.llmTokens])
    }

    /// Needs of a budget that counts prompts do not overflow: such an ask waits, and is refused.
    @Test func `an ask beyond all numbers is refused`() {
        var script = BookScript(.test(1, counts: .billed, amount: 100))
        #expect(script.call(1, Int.max, smallest: 200, prompt: Int.max) == nil)
        #expect(script.actions() == ["grant 0.0 of b1: needs [\(Int.max)]"])
        script.granted(0, 1, 100)
        #expect(script.actions() == ["answer 1: b1 is exhausted"])
    }
}
