import Testing

@testable import Simulator

/// Routers between the two models alone against what they really do, request by request: `SlowRouters` takes what
/// either model writes alone, by the slow relay, and a router's choices one by one.
@Suite struct RouterBruteForceTests {
    /// What was found over all traces, by policy.
    private struct Tally {
        var exact: [String: Int] = [:]
        var bounded: [String: Int] = [:]
    }

    // MARK: Each request under each router

    @Test func `every router does what is said of it`() throws {
        var tally = Tally()
        for number in 0..<1000 {
            let trace = try RoutedTrace(number)
            Self.checkMixtures(trace)
            for place in trace.requests.indices { try Self.check(trace, place, &tally) }
            Self.checkTotals(trace)
            try Self.checkCoins(trace)
            for (index, policy) in RoutedTrace.matched.enumerated() {
                Self.checkMatched(trace, policy, "p\(1 + trace.routers.count + index)")
            }
        }
        for (name, count) in tally.exact { #expect(count > 500, "\(name): \(count) exact") }
        #expect(tally.exact.count == 5 && tally.bounded.count == 5)
        for (name, count) in tally.bounded { #expect(count > 500, "\(name): \(count) bounded") }
    }

    /// One request alone is a group.
    private static func check(_ trace: RoutedTrace, _ place: Int, _ tally: inout Tally) throws {
        let sums = try #require(trace.simulation.groups["\(place)"])
        let request = trace.requests[place]
        #expect(sums.paired[0].requests == (request.isPaired ? 1 : 0), "\(trace.number), \(place)")
        for (index, (policy, router)) in trace.routers.enumerated() {
            let leaf = try #require(
                ReplayPlan.leaf(policy).flatMap { trace.simulation.plan.leaves.firstIndex(of: $0) })
            let isKnown = router.isKnown(request)
            let mask = trace.reruns[place] >> UInt64(index + 1) & 1
            #expect(mask == (isKnown ? 0 : 1), "\(trace.number), \(place), \(policy): to be run again")
            let found = sums.all[leaf]
            checkPrices(request, router, found, "\(trace.number), \(place), \(policy)")
            #expect(found.replayable == (isKnown ? 1 : 0), "\(trace.number), \(place), \(policy): replayable")
            var truths = [router.expected(request)]
            if case .threshold(let threshold, _) = router {
                truths.append(SlowRouter.threshold(threshold, unscored: true).expected(request))
            }
            let scale = Int128(SlowRouter.whole) / trace.simulation.plan.leaves[leaf].scale
            for value in found.low.indices where !BruteForceTests.isUnpriced(value, found.unpriced) {
                let (low, high) = (found.low[value] * scale, found.high[value] * scale)
                let isOpen = found.open[value] > 0
                for truth in truths {
                    #expect(
                        low <= truth[value] && (isOpen || truth[value] <= high),
                        "\(trace.number), \(place), \(policy), \(BruteForceTests.name(value))")
                }
                let cost = value - Quantity.allCases.count
                let isExact = !isOpen && low == high
                if isKnown, cost != SlowTotals.recorded, cost != SlowTotals.reported {
                    #expect(isExact, "\(trace.number), \(place), \(policy), \(BruteForceTests.name(value)): known")
                }
                if isExact { tally.exact[RoutedTrace.kind(policy), default: 0] += 1 }
                if !isExact { tally.bounded[RoutedTrace.kind(policy), default: 0] += 1 }
            }
        }
        let needsBoth = request.knowsSLM && request.knowsLLM ? 0 : 1
        for index in RoutedTrace.matched.indices {
            let mask = trace.reruns[place] >> UInt64(1 + trace.routers.count + index) & 1
            #expect(
                mask == UInt64(needsBoth), "\(trace.number), \(place), \(RoutedTrace.matched[index]): to be run again")
        }
    }

    /// Which costs are not said because servers kept counts to themselves.
    private static func checkPrices(
        _ request: SlowRouted, _ router: SlowRouter, _ found: LeafSums, _ comment: Comment
    ) {
        let lacking = Set(found.unpriced.indices.filter { found.unpriced[$0] > 0 })
        switch router {
        case .slm: #expect(lacking == request.lacks.slm, comment)
        case .llm: #expect(lacking == request.lacks.llm, comment)
        default: #expect(lacking.isSubset(of: request.lacks.slm.union(request.lacks.llm)), comment)
        }
    }

    /// The sums over the trace, and how accurate a router is over the requests that were judged.
    private static func checkTotals(_ trace: RoutedTrace) {
        let judged = trace.requests.count(where: \.isJudged)
        for (policy, router) in trace.routers {
            let totals = trace.simulation.answer("", policy, trace.sums).totals
            #expect(totals?.judged == judged && totals?.requests == trace.requests.count, "\(trace.number)")
            guard judged > 0, let accuracy = totals?.accuracy else {
                #expect(judged == 0 && totals?.accuracy == nil, "\(trace.number), \(policy)")
                continue
            }
            let right = trace.requests.reduce(Int128(0)) { $0 + router.expected($1)[Quantity.correct.rawValue] }
            let truth = Number.quotient(right, Int128(SlowRouter.whole) * 1_000_000 * Int128(judged)) ?? .zero
            #expect(
                accuracy.low <= truth && accuracy.high.map { truth <= $0 } ?? false,
                "\(trace.number), \(policy): accuracy \(truth) of \(accuracy)")
        }
    }

    // MARK: Coins

    /// On the requests of which both models' answers are known: everything but what nobody recorded is exact.
    private static func expect(
        _ answer: PolicyAnswer, _ truth: (sums: [Int128], whole: Int128), _ trace: RoutedTrace, _ what: String
    ) {
        guard let totals = answer.totals else {
            Issue.record("\(trace.number), \(what): nothing is said")
            return
        }
        let count = trace.paired.count
        #expect(answer.isPaired && totals.requests == count && totals.judged == count, "\(trace.number), \(what)")
        #expect(totals.replayable == count, "\(trace.number), \(what)")
        for (value, range) in totals.values.enumerated() {
            if BruteForceTests.isUnpriced(value, totals.unpriced) { continue }
            let expected = Number.quotient(truth.sums[value], truth.whole) ?? .zero
            let comment: Comment =
                "\(trace.number), \(what), \(BruteForceTests.name(value)): \(expected) of \(range)"
            let cost = value - Quantity.allCases.count
            if cost == SlowTotals.recorded || cost == SlowTotals.reported {
                #expect(range.low <= expected && range.high.map { expected <= $0 } ?? true, comment)
            } else {
                #expect(range.exact == expected, comment)
            }
        }
        let accuracy = Number.quotient(
            truth.sums[Quantity.correct.rawValue], truth.whole * Int128(count) * 1_000_000)
        #expect(totals.accuracy?.exact == accuracy, "\(trace.number), \(what): accuracy")
    }

    private static func checkCoins(_ trace: RoutedTrace) throws {
        let percent = [0, 7, 30, 50, 99, 100][trace.number % 6]
        let policy = Counterfactual.randomRouter(share: Double(percent) / 100)
        let answer = trace.simulation.answer("", policy, trace.sums)
        guard !trace.paired.isEmpty else {
            #expect(answer.totals == nil && answer.note == TraceSimulation.noPairs, "\(trace.number)")
            return
        }
        expect(answer, SlowCoins.thrown(trace.paired, percent: percent), trace, "\(policy)")
    }

    /// Routers for a part of the requests: beside another router, and beside coins and both.
    private static func checkMixtures(_ trace: RoutedTrace) {
        let first = trace.routers[trace.number % 6]
        let second = trace.routers[trace.number / 6 % 6]
        func expected(_ requests: [SlowRouted]) -> [Int128] {
            requests.reduce(into: [Int128](repeating: 0, count: Quantity.allCases.count + SlowTotals.costCount)) {
                for (index, value) in first.router.expected($1).enumerated() { $0[index] += 5 * value }
                for (index, value) in second.router.expected($1).enumerated() { $0[index] += 3 * value }
            }
        }
        func check(_ policy: Counterfactual, _ truth: [Int128], _ whole: Int128) {
            guard let totals = trace.simulation.answer("", policy, trace.sums).totals else {
                Issue.record("\(trace.number), \(policy)")
                return
            }
            for (index, range) in totals.values.enumerated() {
                if BruteForceTests.isUnpriced(index, totals.unpriced) { continue }
                let truth = Number.quotient(truth[index], whole) ?? .zero
                #expect(
                    range.low <= truth && range.high.map { truth <= $0 } ?? true,
                    "\(trace.number), \(policy), \(BruteForceTests.name(index)): \(truth) of \(range)")
            }
        }
        let both = Counterfactual.timeShared(first.policy, second.policy, share: 0.625)
        check(both, expected(trace.requests), 8 * Int128(SlowRouter.whole))
        guard !trace.paired.isEmpty else { return }
        // A quarter of the requests by what falls heads in half of all ways.
        let coins = SlowCoins.thrown(trace.paired, 1, of: 2).sums
        let sums = zip(coins, expected(trace.paired)).map { coin, mixed in
            coin * 4 * Int128(SlowRouter.whole) + 3 * mixed
        }
        check(.timeShared(.randomRouter(share: 0.5), both, share: 0.25), sums, 32 * Int128(SlowRouter.whole))
    }

    // MARK: Matched shares

    /// What a policy spends of a quantity over requests: a part and, where it is a share, the whole.
    private static func spent(_ quantity: MatchedQuantity, _ totals: [SlowTotals]) -> Int {
        totals.reduce(0) { sum, one in
            switch quantity {
            case .llmTokens: sum + one.llmTokens
            case .generatedTokens: sum + one.llmTokens + one.slmTokens
            case .billedTokens: sum + one.costs[1]
            case .money: sum + one.costs[SlowTotals.money]
            case .activatedParameters: sum + one.costs[4]
            case .requests: sum + one.reached
            }
        }
    }

    /// Whether a router that throws coins with `heads` of `all` spends what the log did, by the meaning of matched.
    private static func isMatched(_ policy: Counterfactual, _ paired: [SlowRouted], _ heads: Int128, _ all: Int128)
        -> Bool
    {
        func mean(_ value: ([SlowTotals]) -> Int) -> Int128 {
            heads * Int128(value(paired.map(\.llm))) + (all - heads) * Int128(value(paired.map(\.slm)))
        }
        func same(_ value: ([SlowTotals]) -> Int) -> Bool { mean(value) == all * Int128(value(paired.map(\.logged))) }
        guard case .randomRouterAtCost(let quantity) = policy else {
            return same { $0.reduce(0) { $0 + $1.correct } }
        }
        guard quantity == .llmTokens else { return same { spent(quantity, $0) } }
        // The same part of all tokens is the LLM's; of no tokens there is no part.
        let (llm, generated) = (mean { spent(.llmTokens, $0) }, mean { spent(.generatedTokens, $0) })
        let logged = paired.map(\.logged)
        let (loggedLLM, loggedAll) = (spent(.llmTokens, logged), spent(.generatedTokens, logged))
        return generated > 0 && loggedAll > 0 && llm * Int128(loggedAll) == Int128(loggedLLM) * generated
    }

    private static func checkMatched(_ trace: RoutedTrace, _ policy: Counterfactual, _ name: String) {
        let paired = trace.paired
        let answer = trace.simulation.answer(name, policy, trace.sums)
        let what = "\(trace.number), \(policy), share \(answer.share.map { "\($0)" } ?? "none")"
        if case .randomRouterAtCost(.money) = policy, trace.cases.contains(where: \.hidesPrompts) { return }
        if case .randomRouterAtCost(.billedTokens) = policy, trace.cases.contains(where: \.hidesPrompts) { return }
        guard !paired.isEmpty else {
            #expect(answer.totals == nil && answer.share == nil, "\(what)")
            return
        }
        guard let share = answer.share?.fraction else {
            // Of a straight line two points of three are enough: no share or every share spends the same.
            let found = (0...2).map { isMatched(policy, paired, Int128($0), 2) }
            #expect(
                answer.totals == nil && (found == [false, false, false] || found.filter(\.self).count > 1), "\(what)")
            return
        }
        #expect(isMatched(policy, paired, share.numerator, share.denominator), "\(what)")
        guard share.numerator >= 0, share.numerator <= share.denominator else {
            #expect(answer.totals == nil && answer.note.contains("no router"), "\(what)")
            return
        }
        expect(answer, SlowCoins.thrown(paired, share.numerator, of: share.denominator), trace, "\(policy)")
    }
}
