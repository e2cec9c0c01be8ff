import Testing

@testable import Simulator

/// The numbers of a report about routers, each against what it is said to be.
@Suite struct RouterReportTests {
    /// The expectation of everything under a policy, over the requests that its line is about.
    private struct Truth {
        let sums: [Int128]
        let whole: Int128
        let requests: [SlowRouted]

        var judged: Int128 { Int128(requests.count(where: \.isJudged)) }

        subscript(quantity: Quantity) -> Int128 { sums[quantity.rawValue] }
        subscript(cost index: Int) -> Int128 { sums[Quantity.allCases.count + index] }

        /// Each request as its logged self.
        static func logged(_ requests: [SlowRouted]) -> Truth {
            Truth(requests, 1) { request in
                var values = request.logged.values.map { Int128($0) }
                if !request.isJudged { values[Quantity.correct.rawValue] = 0 }
                return values
            }
        }

        init(sums: [Int128], whole: Int128, requests: [SlowRouted]) {
            (self.sums, self.whole, self.requests) = (sums, whole, requests)
        }

        init(_ requests: [SlowRouted], _ whole: Int128, _ values: (SlowRouted) -> [Int128]) {
            var sums = [Int128](repeating: 0, count: Quantity.allCases.count + SlowTotals.costCount)
            for request in requests { sums = zip(sums, values(request)).map(+) }
            self.init(sums: sums, whole: whole, requests: requests)
        }

        var accuracy: Number? { Number.quotient(self[.correct], whole * judged * 1_000_000) }
        var pooledRatio: Number { Number.quotient(self[.llmTokens], self[.llmTokens] + self[.slmTokens]) ?? .zero }
        /// Over the requests with a token.
        var meanRatio: Number? { Number.quotient(self[.callShare], self[.answered] * 1_000_000_000_000) }
        var requestShare: Number? { Number.quotient(self[.reached], whole * Int128(requests.count)) }
        func total(_ index: Int) -> Number { Number.quotient(sums[index], whole) ?? .zero }
    }

    /// What is true of each policy of a trace; nil where no router is.
    private static func truths(_ trace: RoutedTrace, _ answers: [PolicyAnswer]) -> [Truth?] {
        let whole = Int128(SlowRouter.whole)
        let routed = trace.routers.map { router in Truth(trace.requests, whole) { router.router.expected($0) } }
        let coins = answers.dropFirst(1 + routed.count).map { answer -> Truth? in
            guard answer.totals != nil, let share = answer.share?.fraction else { return nil }
            let thrown = SlowCoins.thrown(trace.paired, share.numerator, of: share.denominator)
            return Truth(sums: thrown.sums, whole: thrown.whole, requests: trace.paired)
        }
        return [.logged(trace.requests)] + routed + coins
    }

    private static func expect(_ cell: Table.Cell, _ truth: Number?, _ comment: Comment) {
        guard case .finding(let finding) = cell else {
            // What does not apply has no value.
            #expect(cell == .none && truth == nil, comment)
            return
        }
        guard let truth else {
            #expect(finding.knowledge == .unknown, comment)
            return
        }
        switch finding.knowledge {
        case .exact(let value): #expect(value == truth, comment)
        case .bounded(let low, let high): #expect(low <= truth && truth <= high, comment)
        case .atLeast(let low): #expect(low <= truth, comment)
        case .unknown: break
        case .estimated: Issue.record(comment)
        }
    }

    private static func rows(_ report: Report, _ section: String) throws -> [[Table.Cell]] {
        try #require(report.sections.first { $0.name == section }?.table?.rows)
    }

    @Test func `every number of a report is what it is said to be`() throws {
        for number in stride(from: 0, to: 1000, by: 8) {
            let trace = try RoutedTrace(number)
            let report = trace.simulation.report()
            let truths = Self.truths(trace, trace.simulation.answers(trace.sums))
            try Self.checkPolicies(trace, report, truths)
            try Self.checkCosts(trace, report, truths)
            try Self.checkRatios(trace, report)
            if !trace.paired.isEmpty { try Self.checkMatched(trace, report) }
        }
    }

    private static func checkPolicies(_ trace: RoutedTrace, _ report: Report, _ truths: [Truth?]) throws {
        for (row, truth) in zip(try rows(report, "policies"), truths) {
            let comment: Comment = "\(trace.number), \(row[0])"
            guard let truth else {
                #expect(row[3...11].allSatisfy { $0 == .none }, comment)
                continue
            }
            let logged = Truth.logged(truth.requests)
            expect(row[2], truth.accuracy, comment)
            expect(row[3], truth.accuracy.flatMap { own in logged.accuracy.map { own - $0 } }, comment)
            expect(row[4], truth.total(Quantity.llmTokens.rawValue), comment)
            expect(row[5], truth.total(Quantity.slmTokens.rawValue), comment)
            expect(row[6], truth.pooledRatio, comment)
            if row[7] != .none { expect(row[7], truth.meanRatio ?? .zero, comment) }
            expect(row[8], truth.total(Quantity.calls.rawValue), comment)
            expect(row[9], truth.requestShare, comment)
            expect(row[10], truth.total(Quantity.refused.rawValue), comment)
            expect(row[11], truth.total(Quantity.degraded.rawValue), comment)
        }
    }

    private static func checkCosts(_ trace: RoutedTrace, _ report: Report, _ truths: [Truth?]) throws {
        let known = truths.compactMap(\.self)
        for (row, truth) in zip(try rows(report, "costs"), known) {
            let logged = Truth.logged(truth.requests)
            for index in 0..<SlowTotals.costCount {
                let comment: Comment = "\(trace.number), \(row[0]), cost \(index)"
                let scale: Int128 = index == 4 ? 1_000_000 : 1
                expect(row[2 + 2 * index], Number.quotient(truth[cost: index], truth.whole * scale), comment)
                if row[3 + 2 * index] != .none {
                    expect(
                        row[3 + 2 * index],
                        Number.quotient(truth[cost: index], truth.whole * logged[cost: index]), comment)
                }
            }
        }
    }

    private static func checkRatios(_ trace: RoutedTrace, _ report: Report) throws {
        let logged = Truth.logged(trace.requests)
        let rows = try rows(report, "call_ratios")
        let shared = Number.quotient(trace.requests.count { $0.logged.llmTokens > 0 }, trace.requests.count)
        for (row, truth) in [
            (rows[0], logged.pooledRatio), (rows[1], logged.meanRatio), (rows[3], shared),
        ] {
            expect(row[1], truth, "\(trace.number), \(row[0])")
        }
    }

    /// Random routers at the same share of tokens, and those that are right as often, by what coins do.
    private static func checkMatched(_ trace: RoutedTrace, _ report: Report) throws {
        let paired = trace.paired
        func accuracy(_ share: Number) -> Number? {
            guard let share = share.fraction else { return nil }
            let thrown = SlowCoins.thrown(paired, share.numerator, of: share.denominator)
            return Truth(sums: thrown.sums, whole: thrown.whole, requests: paired).accuracy
        }
        let routers = trace.routers.map { router in
            Truth(paired, Int128(SlowRouter.whole)) { router.router.expected($0) }
        }
        for (row, truth) in zip(try rows(report, "matched"), [Truth.logged(paired)] + routers) {
            let comment: Comment = "\(trace.number), \(row[0])"
            expect(row[1], truth.accuracy, comment)
            guard let own = truth.accuracy else { continue }
            if case .finding(let finding) = row[2], case .exact(let share) = finding.knowledge {
                let random = accuracy(share)
                expect(row[3], random, comment)
                expect(row[4], random.map { own - $0 }, comment)
            }
            // At the share p* a coin is right as often.
            if case .finding(let finding) = row[5], case .exact(let share) = finding.knowledge {
                #expect(accuracy(share) == own, comment)
            }
        }
    }
}
