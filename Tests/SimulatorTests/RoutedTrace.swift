import Accounting
import Testing

@testable import Simulator

/// A random trace, replayed under every router, with what is true of it. Each request is a group of its own.
struct RoutedTrace {
    let number: Int
    let cases: [BruteForceCase]
    let requests: [SlowRouted]
    let simulation: TraceSimulation
    let sums: GroupSums
    let routers: [(policy: Counterfactual, router: SlowRouter)]
    /// For each request the policies under which it is to be run again.
    let reruns: [UInt64]

    var paired: [SlowRouted] { requests.filter(\.isPaired) }

    /// Random routers that spend, or are right, as the log.
    static let matched: [Counterfactual] =
        MatchedQuantity.allCases.map { .randomRouterAtCost($0) } + [.randomRouterAtAccuracy]

    /// The name of a policy without what belongs to it.
    static func kind(_ policy: Counterfactual) -> String {
        "\(policy)".split(separator: "(").first.map(String.init) ?? ""
    }

    /// - Parameter more: policies beside as logged, the routers and the matched ones.
    init(_ number: Int, more: [Counterfactual] = []) throws {
        var generator = TestGenerator(UInt64(number))
        let world = ScriptedWorld(using: &generator)
        var scenario = BruteForceTests.scenario(world, &generator)
        routers = RoutedTrace.routers(&generator)
        let policies = [.asLogged] + routers.map(\.policy) + RoutedTrace.matched + more
        scenario.policies = policies.enumerated().map { PolicyEntry(name: "p\($0.offset)", counterfactual: $0.element) }
        scenario.groupBy = "place"
        var cases = BruteForceCase.cases(&generator, world)
        var simulation = try TraceSimulation(scenario)
        var reruns: [UInt64] = []
        for index in cases.indices {
            cases[index].request.tags.append(RequestTag(key: "place", value: "\(index)"))
            reruns.append(try simulation.add(cases[index].request))
        }
        self.number = number
        self.cases = cases
        self.simulation = simulation
        self.reruns = reruns
        requests = cases.map(SlowRouted.init)
        sums = simulation.whole
    }

    private static func routers(_ generator: inout TestGenerator) -> [(Counterfactual, SlowRouter)] {
        let tenth = Int.random(in: 0...10, using: &generator)
        let threshold = Double(tenth) / 10
        // Some judges err never, some always, some throw a coin.
        let accepts = [0, 0, 100_000, 370_000, 1_000_000].randomElement(using: &generator) ?? 0
        let rejects = [0, 50_000, 1_000_000 - accepts].randomElement(using: &generator) ?? 0
        return [
            (.slmOnly, .slm), (.llmOnly, .llm), (.oracleRouter, .oracle),
            (.thresholdRouter(score: "score", threshold: threshold), .threshold(threshold, unscored: false)),
            (.cascade(falseAccept: 0, falseReject: 0), .cascade(accepts: 0, rejects: 0)),
            (
                .cascade(falseAccept: Double(accepts) / 1e6, falseReject: Double(rejects) / 1e6),
                .cascade(accepts: accepts, rejects: rejects)
            ),
        ]
    }

    /// The sums of one request under a policy that is followed request by request.
    func sums(_ place: Int, _ policy: Counterfactual) throws -> (sums: LeafSums, scale: Int128) {
        let leaf = try #require(ReplayPlan.leaf(policy).flatMap { simulation.plan.leaves.firstIndex(of: $0) })
        let group = try #require(simulation.groups["\(place)"])
        return (group.all[leaf], simulation.plan.leaves[leaf].scale)
    }
}
