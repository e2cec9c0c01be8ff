import Testing

@testable import Simulator

@Suite struct QualityPlotTests {
    /// Policies on the requests whose answers by both models are known, with the intervals of the same draws.
    @Test func `points and random routers have the intervals of their accuracy`() throws {
        var scenario = ScriptedTrace.scenario()
        scenario.cluster = .request
        scenario.policies = [
            PolicyEntry(name: "slm", counterfactual: .slmOnly), PolicyEntry(name: "log", counterfactual: .asLogged),
            PolicyEntry(name: "half", counterfactual: .randomRouter(share: 0.5)),
            PolicyEntry(name: "cap", counterfactual: .capTokensPerCall(3)),
        ]
        scenario.costModels = []
        let requests = ScriptedTrace.requests(400, seed: 11)
        var simulation = try TraceSimulation(scenario)
        for request in requests { try simulation.add(request) }
        let report = simulation.report()
        let plot = try #require(report.sections.first { $0.name == "quality" }?.plot)
        #expect(plot.series.map(\.name) == ["random router", "hull", "policies"])
        let line = plot.series[0].points
        #expect(line.count == 11 && line[0].label == "SLM only" && line[10].label == "LLM only")
        for point in line {
            let (low, high) = (try #require(point.low), try #require(point.high))
            #expect(low < point.y && point.y < high)
        }
        // Everywhere on the line accuracy is the mixture of its ends.
        for (step, point) in line.enumerated() {
            let share = Double(step) / 10
            #expect(abs(point.y - (line[0].y + share * (line[10].y - line[0].y))) < 1e-12)
        }
        let points = Dictionary(uniqueKeysWithValues: plot.series[2].points.map { ($0.label ?? "", $0) })
        let slm = try #require(points["slm"])
        #expect(slm.low == line[0].low && slm.high == line[0].high && slm.y == line[0].y)
        let half = try #require(points["half"])
        #expect(half.low == line[5].low && half.high == line[5].high)
        // Of 0 and 1 with mean p among n, an interval of 95 % is about 2 · 1.96 · √(p(1 − p) / n) wide.
        let n = Double(simulation.paired)
        let width = try #require(slm.high) - (try #require(slm.low))
        let expected = 2 * 1.96 * (slm.y * (1 - slm.y) / n).squareRoot()
        #expect(abs(width / expected - 1) < 0.2, "\(width) of \(expected)")
        scenario.replicates = 0
        var bare = try TraceSimulation(scenario)
        for request in requests { try bare.add(request) }
        let plain = try #require(bare.report().sections.first { $0.name == "quality" }?.plot)
        #expect(plain.series[0].points.allSatisfy { $0.low == nil })
        // The hull does not depend on intervals.
        #expect(plain.series[1] == plot.series[1])
    }
}
