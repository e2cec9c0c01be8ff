import Testing

@testable import Simulator

/// What a log leaves open: other worlds in which the same log is written and everything else is different.
@Suite struct OtherWorldTests {
    /// Of requests that are to be run again, how many differ in another world, by policy.
    private struct Tally {
        var unknown: [String: Int] = [:]
        var open: [String: Int] = [:]
    }

    private static let changes: [(policy: Counterfactual, change: ScriptedWorld.Change)] = [
        (.capTokensPerCall(3), .callTokens(3)), (.capCalls(1), .calls(1)),
        (.capTokensPerRequest(6), .answerTokens(6)), (.fixedLength(5), .fixed(5)),
    ]

    /// The same request where the models say something else wherever the log did not ask them.
    private static func other(_ item: BruteForceCase, _ seed: UInt64) -> BruteForceCase {
        let fork = ScriptedModels.Fork()
        fork.asked = item.world.seen ?? []
        fork.seed = seed
        var item = item
        item.world.fork = fork
        return item
    }

    /// Every value under a policy, in 10^-12.
    private static func values(_ item: BruteForceCase, _ change: ScriptedWorld.Change) -> [Int128] {
        var values = item.truth(change).values.map { Int128($0) * Int128(SlowRouter.whole) }
        if !item.isJudged { values[Quantity.correct.rawValue] = 0 }
        return values
    }

    /// What a policy comes to for one request in each world, the first of which is the trace's own.
    private static func check(
        _ trace: RoutedTrace, _ place: Int, _ policy: Counterfactual, _ worlds: [[Int128]],
        _ tally: inout Tally
    ) throws {
        let (found, scale) = try trace.sums(place, policy)
        let factor = Int128(SlowRouter.whole) / scale
        let comment: Comment = "\(trace.number), \(place), \(policy)"
        for index in found.low.indices where !BruteForceTests.isUnpriced(index, found.unpriced) {
            let (low, high) = (found.low[index] * factor, found.high[index] * factor)
            for world in worlds {
                #expect(low <= world[index] && (found.open[index] > 0 || world[index] <= high), comment)
            }
        }
        guard found.replayable == 0 else { return }
        tally.unknown[RoutedTrace.kind(policy), default: 0] += 1
        if worlds.contains(where: { $0 != worlds[0] }) { tally.open[RoutedTrace.kind(policy), default: 0] += 1 }
    }

    @Test func `what is exact is so in every world with this log, and what is unknown is not`() throws {
        var tally = Tally()
        for number in stride(from: 0, to: 1000, by: 5) {
            let trace = try RoutedTrace(number, more: Self.changes.map(\.policy))
            for (place, item) in trace.cases.enumerated() {
                let others = (0..<3).map { Self.other(item, UInt64(number * 8 + $0) &* 0x9E37_79B9) }
                for other in others {
                    let logged = (0..<item.request.choices).flatMap {
                        other.world.run(item.served, choice: $0).segments
                    }
                    #expect(logged.map(\.tokens) == item.request.segments.map(\.tokens), "\(number): another log")
                    #expect(logged.map(\.finish) == item.request.segments.map(\.finish), "\(number): another log")
                }
                let routed = [trace.requests[place]] + others.map(SlowRouted.init)
                for (policy, router) in trace.routers {
                    try Self.check(trace, place, policy, routed.map(router.expected), &tally)
                }
                for (policy, change) in Self.changes {
                    try Self.check(trace, place, policy, ([item] + others).map { Self.values($0, change) }, &tally)
                }
            }
        }
        #expect(tally.unknown.count == 9)
        for (name, count) in tally.unknown {
            let open = tally.open[name, default: 0]
            #expect(count > 50 && open * 2 > count, "\(name): \(open) of \(count) requests are really open")
        }
    }
}
