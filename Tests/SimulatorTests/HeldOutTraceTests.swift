import Accounting
import Testing

@testable import Simulator

/// Thresholds that are chosen on one part of a trace and reported on the other.
@Suite struct HeldOutTraceTests {
    /// Answers of both models alone to one question, and its score.
    private struct Pair {
        var slm: Int?
        var llm: Int?
        var score: String?
        /// Seconds.
        var arrived: Int64
        var isJudged = true
        var tokens = (slm: 10, llm: 20)
    }

    private static func request(_ pair: Pair, _ index: Int) -> LoggedRequest {
        var request = LoggedRequest(
            id: UUID7(high: UInt64(index + 1) << 16, low: mixed(UInt64(index))), tenant: "t\(index % 3)", model: "m",
            policy: "relay", arrived: Timestamp(microseconds: pair.arrived * 1_000_000), promptTokens: 100,
            tags: [RequestTag(key: "question", value: "q\(index % 5)")],
            segments: [
                LoggedSegment(
                    role: .slm, sequence: 0, model: "small", tokens: 8, commandTokens: 4, finish: .call,
                    inputTokens: 100),
                LoggedSegment(
                    role: .llm, sequence: 1, model: "large", requested: 5, granted: 5, tokens: 5, finish: .length,
                    inputTokens: 110),
            ])
        if let score = pair.score { request.tags.append(RequestTag(key: "score", value: score)) }
        if pair.isJudged { request.verdicts = [LoggedVerdict(choice: 0, source: "s", verdict: 1_000_000)] }
        request.slmOnly = pair.slm.map { LoggedAlone(verdict: $0 * 1_000_000, tokens: pair.tokens.slm) }
        request.llmOnly = pair.llm.map { LoggedAlone(verdict: $0 * 1_000_000, tokens: pair.tokens.llm) }
        return request
    }

    private static func scenario(_ aims: [ThresholdAim], _ train: TrainSplit? = nil) -> Scenario {
        var scenario = Scenario(title: "held out")
        scenario.policies = aims.enumerated().map {
            PolicyEntry(name: "p\($0.offset)", counterfactual: .chosenThreshold(score: "score", aim: $0.element))
        }
        scenario.train = train
        scenario.replicates = 0
        return scenario
    }

    private static func report(_ scenario: Scenario, _ pairs: [Pair]) throws -> Report {
        var simulation = try TraceSimulation(scenario)
        for (index, pair) in pairs.enumerated() { try simulation.add(request(pair, index)) }
        return simulation.report()
    }

    private static func cells(_ report: Report, _ row: Int) throws -> [String: Table.Cell] {
        let table = try #require(report.sections.first { $0.name == "held_out" }?.table)
        return Dictionary(uniqueKeysWithValues: zip(table.columns.map(\.name), table.rows[row]))
    }

    private static func texts(_ report: Report, _ row: Int, _ columns: [String]) throws -> [String] {
        let cells = try cells(report, row)
        return columns.map { name in
            switch cells[name] {
            case .text(let text): text
            case .finding(let finding):
                switch finding.knowledge {
                case .exact(let number):
                    finding.unit == .score ? Number.plain(number.double) : Decimals.text(number, decimals: 4)
                case .bounded(let low, let high):
                    "\(Decimals.text(low, decimals: 4)) to \(Decimals.text(high, decimals: 4))"
                case .atLeast, .estimated, .unknown: "? \(finding.reason ?? "")"
                }
            case .some(.none), nil: "–"
            }
        }
    }

    /// Four that came first, four that came later, in no order of the log.
    private static let pairs: [Pair] = [
        Pair(slm: 1, llm: 1, score: "4", arrived: 50), Pair(slm: 0, llm: 1, score: "4", arrived: 10),
        Pair(slm: 0, llm: 1, score: "3", arrived: 20), Pair(slm: 0, llm: 1, score: "3", arrived: 60),
        Pair(slm: 1, llm: 0, score: "2", arrived: 30), Pair(slm: 1, llm: 1, score: "1", arrived: 40),
        Pair(slm: 1, llm: 1, score: "2", arrived: 70), Pair(slm: 0, llm: 0, score: "1", arrived: 80),
    ]
    private static let numbers = [
        "threshold", "share_train", "share_held_out", "accuracy_train", "accuracy_held_out", "optimism",
    ]

    @Test func `a log by hand`() throws {
        // The first four: none 2/4, from 4 on 3/4, from 3 on 4/4. The others, from 3 on: 3/4; from 4 on: 2/4.
        let report = try Self.report(Self.scenario([.share(0.5), .share(0.25)]), Self.pairs)
        #expect(
            try Self.texts(report, 0, Self.numbers) == ["3", "0.5000", "0.5000", "1.0000", "0.7500", "0.2500"])
        #expect(
            try Self.texts(report, 1, Self.numbers) == ["4", "0.2500", "0.2500", "0.7500", "0.5000", "0.2500"])
        let split = report.coverage.first { $0.name == "split" }?.value
        #expect(
            split == "by score, 4 requests to choose on, 4 held out, which arrived from 1970-01-01T00:00:50.000000Z on")
        // Three right of four: Wilson's interval is about 0.30 to 0.95.
        guard case .finding(let held) = try Self.cells(report, 0)["accuracy_held_out"] else { throw Missing() }
        #expect(held.interval?.method == "Wilson score")
        #expect(abs((held.interval?.low.double ?? 0) - 0.3006) < 1e-4)
        #expect(abs((held.interval?.high.double ?? 0) - 0.9544) < 1e-4)
        #expect(report.sections.first { $0.name == "policies" }?.table?.rows.isEmpty == true)
        #expect(Set(report.definitions.map(\.term)).isSuperset(of: ["training part", "held out", "optimism"]))
    }

    private struct Missing: Error {}

    @Test func `what is not known is bounded, not wrong`() throws {
        let more = [
            // Its score sends it to the LLM, whose answer nobody has; and one whose SLM's answer is not asked.
            Pair(slm: 1, llm: nil, score: "3", arrived: 90), Pair(slm: nil, llm: 1, score: "5", arrived: 91),
            // In no accuracy.
            Pair(slm: 1, llm: 1, score: nil, arrived: 92), Pair(slm: 1, llm: 1, score: "high", arrived: 93),
            Pair(slm: 1, llm: 1, score: "4", arrived: 94, isJudged: false),
            Pair(slm: 1, llm: 1, score: "inf", arrived: 95), Pair(slm: 1, llm: 1, score: "0x10", arrived: 95),
        ]
        let report = try Self.report(Self.scenario([.share(0.5)]), Self.pairs + more)
        #expect(
            try Self.texts(report, 0, Self.numbers) == ["3", "0.5000", "0.5000", "1.0000", "0.7500", "0.2500"])
        // 3 of 4 and the LLM's right one, of 6; one more if the unknown one is right.
        #expect(try Self.texts(report, 0, ["accuracy_all_held_out"]) == ["0.6667 to 0.8333"])
        #expect(report.exclusions.contains { $0.reason == "without a score of a threshold" && $0.requests == 4 })
    }

    @Test func `what cannot be chosen is a result`() throws {
        func result(_ pairs: [Pair], _ aim: ThresholdAim = .share(1)) throws -> String {
            try Self.texts(try Self.report(Self.scenario([aim]), pairs), 0, ["result"])[0]
        }
        let none = "no threshold: the training part has no request with a score and both verdicts"
        #expect(try result([]) == none)
        #expect(try result(Self.pairs.map { Pair(slm: $0.slm, llm: $0.llm, score: nil, arrived: $0.arrived) }) == none)
        // All at one moment: none comes before the others.
        #expect(try result(Self.pairs.map { Pair(slm: $0.slm, llm: $0.llm, score: $0.score, arrived: 7) }) == none)
        let wrong = (0..<4).map { Pair(slm: 0, llm: $0 % 2, score: "\($0)", arrived: Int64($0)) }
        // Two for choosing, of which the LLM is right on the second.
        #expect(
            try result(wrong, .accuracy(0.6)) == "no threshold meets the aim: the most accurate has 0.500000")
    }

    @Test func `money needs prices, of every request`() throws {
        func price(_ model: String, _ input: Int, _ output: Int) -> ModelPrice {
            ModelPrice(
                model: model, from: Timestamp(microseconds: 15_000_000), input: input, cachedInput: nil,
                cacheWrite: nil, output: output, request: 0)
        }
        var scenario = Self.scenario([.cost(0.0006)])
        #expect(throws: SimulationError.self) { try TraceSimulation(scenario) }
        scenario.costModels = [
            CostModel(name: "money", basis: .prices([price("slm", 1, 10), price("llm", 2, 40)], .none))
        ]
        // The request of second 10 came before the prices.
        var report = try Self.report(scenario, Self.pairs)
        #expect(
            try Self.texts(report, 0, ["result"])
                == ["no threshold: 1 requests of the training part have no exact price"])
        // The SLM: 100 · 1 + 10 · 10 = 200; the LLM: 100 · 2 + 20 · 40 = 1,000 pico-dollars. One of four sent:
        // 1,600 / 4 = 400, two: 600, three: 800; for 1,000 requests 400,000, that is $0.0000004.
        scenario.policies[0].counterfactual = .chosenThreshold(score: "score", aim: .cost(0.0000006))
        let later = Self.pairs.map {
            Pair(slm: $0.slm, llm: $0.llm, score: $0.score, arrived: $0.arrived + 100)
        }
        report = try Self.report(scenario, later)
        #expect(
            try Self.texts(report, 0, Self.numbers + ["cost_train", "cost_held_out", "aim_held_out"]) == [
                "3", "0.5000", "0.5000", "1.0000", "0.7500", "0.2500", "600000.0000", "600000.0000", "met",
            ])
        // Without a price in the held-out part alone, its cost is not known.
        report = try Self.report(
            scenario,
            later + [Pair(slm: 1, llm: 1, score: "1", arrived: 0), Pair(slm: 1, llm: 1, score: "1", arrived: 1)])
        #expect(try Self.texts(report, 0, ["result"])[0].hasPrefix("no threshold: 2 requests"))
    }

    @Test func `questions that cannot be are refused by name`() throws {
        func field(_ scenario: Scenario) -> String? {
            (#expect(throws: SimulationError.self) { try TraceSimulation(scenario) })?.field
        }
        #expect(field(Self.scenario([.share(0.5)], TrainSplit(share: 0.5, order: .file))) == "train.order")
        #expect(field(Self.scenario([.share(0.5)], TrainSplit(share: 1))) == "train.share")
        #expect(field(Self.scenario([], TrainSplit())) == "train")
        #expect(field(Self.scenario([.accuracy(2)])) == "policies[0]")
        var shared = Self.scenario([])
        let chosen = Counterfactual.chosenThreshold(score: "score", aim: .share(0.5))
        shared.policies = [PolicyEntry(name: "p", counterfactual: .timeShared(chosen, .slmOnly, share: 0.5))]
        #expect(field(shared) == "policies[0].first")
        var many = Self.scenario([])
        many.policies = (0..<5).map {
            PolicyEntry(name: "p\($0)", counterfactual: .chosenThreshold(score: "s\($0)", aim: .share(0.5)))
        }
        #expect(field(many) == "policies")
    }

    @Test func `a random split keeps clusters whole`() throws {
        var scenario = Self.scenario([.share(1)], TrainSplit(share: 0.5, order: .random))
        scenario.cluster = .tag("question")
        let pairs = (0..<50).map { Pair(slm: $0 % 2, llm: 1, score: "\($0 % 7)", arrived: Int64($0)) }
        let parts = Set(
            (0..<5).map { TrainSplit().isTraining(hash: stableHash("q\($0)"), seed: scenario.seed) ? 1 : 0 })
        #expect(parts.count == 2)
        let training = (0..<5).count { TrainSplit().isTraining(hash: stableHash("q\($0)"), seed: scenario.seed) }
        let report = try Self.report(scenario, pairs)
        let split = report.coverage.first { $0.name == "split" }?.value
        #expect(split == "by score, \(training * 10) requests to choose on, \(50 - training * 10) held out")
        let cells = try Self.cells(report, 0)
        for name in ["accuracy_held_out", "optimism"] {
            guard case .finding(let finding) = cells[name] else { throw Missing() }
            #expect(finding.interval == nil)
        }
    }

    // MARK: Parts

    @Test(arguments: [UInt64](1...4), [TrainSplit.Order.time, .random])
    func `sixteen parts in any order are the whole, byte for byte`(_ seed: UInt64, _ order: TrainSplit.Order) throws {
        var scenario = ScriptedTrace.scenario()
        scenario.policies += Self.scenario([.share(0.4), .llmAccuracy(0.9), .cost(1)]).policies.map {
            PolicyEntry(name: "chosen \($0.name)", counterfactual: $0.counterfactual)
        }
        scenario.train = TrainSplit(share: 0.3, order: order)
        var requests = ScriptedTrace.requests(400, seed: seed)
        // More scores and moments than are kept apart.
        for index in requests.indices {
            requests[index].tags.removeAll { $0.key == "score" }
            let score = Double(mixed(UInt64(index) &+ seed) % 1_000_000) / 1_000_000
            requests[index].tags.append(RequestTag(key: "score", value: "\(score)"))
        }
        let whole = try ScriptedTrace.checkParts(requests, scenario, seed: seed)
        #expect(order == .random || whole.scoreTables[0].timeLevel > 0)
        #expect(whole.report().sections.contains { $0.name == "held_out" && $0.table?.rows.count == 3 })
    }

    private struct Entry {
        var time: Int64
        var score: Double
        var sums: ScoreSums
    }

    private static func entries(_ count: Int, _ seed: UInt64) -> [Entry] {
        var generator = TestGenerator(seed)
        return (0..<count).map { _ in
            var sums = ScoreSums()
            sums.usable = 1
            sums.slm.add(right: Bool.random(using: &generator) ? 1_000_000 : 0, cost: Extent(Int128(3)))
            sums.llm.add(right: Bool.random(using: &generator) ? 1_000_000 : 0, cost: Extent(Int128(7)))
            // From before 1970 to a year after it; scores of many sizes and both signs.
            let score = Double.random(in: -1...1, using: &generator)
            let scale: Double = [1e-12, 1, 1, 1, 1e9, 1e299].randomElement(using: &generator) ?? 1
            return Entry(
                time: Int64.random(in: -1_000_000_000...31_536_000_000_000, using: &generator), score: score * scale,
                sums: sums)
        }
    }

    /// Times and scores of 20,000 requests are more than are kept apart.
    @Test(arguments: [UInt64](1...4))
    func `steps depend on what there is, not on its order or parts`(_ seed: UInt64) throws {
        let entries = Self.entries(20_000, seed)
        func table(_ entries: some Sequence<Entry>) -> ScoreTable {
            var table = ScoreTable()
            for entry in entries { table.add(entry.sums, time: entry.time, score: entry.score) }
            return table
        }
        let whole = table(entries)
        #expect(whole.timeLevel > 0 && whole.scoreLevel > 0)
        #expect(Set(whole.cells.keys.map(\.time)).count <= ScoreTable.timeLimit)
        #expect(Set(whole.cells.keys.map(\.score)).count <= ScoreTable.scoreLimit)
        // Compared before they are expected, so that a failure does not print them.
        let isReversed = table(entries.reversed()) == whole
        #expect(isReversed)
        var merged = table(entries[15_000...])
        merged.merge(table(entries[..<100]))
        merged.merge(table(entries[100..<15_000]))
        let isMerged = merged == whole
        #expect(isMerged)
        // A table that takes no steps yet takes those of the other.
        var few = table(entries[..<10])
        few.merge(table(entries[10...]))
        let isWhole = few == whole
        #expect(isWhole)
        // All sums above a step's first score are exact, and so are those before a moment.
        let parts = whole.parts(share: .ratio(1, 3))
        let boundary = try #require(parts.boundary)
        let train = entries.filter { $0.time < boundary }
        #expect(train.count == parts.train.total.usable)
        #expect(train.count <= 6_666 && train.count > 6_666 - 20_000 / 50)
        for point in parts.train.points.dropFirst().prefix(40) {
            let threshold = try #require(point.threshold)
            let sent = train.filter { $0.score >= threshold }
            #expect(point.sent == sent.count, "from \(threshold) on")
            let right = train.reduce(Int128(0)) { $0 + ($1.score >= threshold ? $1.sums.llm : $1.sums.slm).right }
            #expect(point.answers.right == right)
        }
        var writer = PartialWriter()
        whole.encode(&writer)
        var reader = PartialReader(writer.bytes, from: 0, to: writer.bytes.count)
        let isRead = try ScoreTable(&reader) == whole && reader.isAtEnd
        #expect(isRead)
    }

    @Test func `few scores and moments are taken as they are`() {
        var table = ScoreTable()
        let scores = (0..<ScoreTable.scoreLimit).map { Double($0) / 1000 }
        for (index, score) in scores.enumerated() {
            table.add(ScoreSums(), time: Int64(index % ScoreTable.timeLimit), score: score)
        }
        #expect(table.scoreStep == nil && table.timeStep == nil)
        #expect(Set(table.cells.keys.map(\.score)) == Set(scores))
        // -0 is 0. With one more there are steps: scores a thousandth apart are kept apart by steps of 2^-10, and not
        // by those of 2^-9.
        table.add(ScoreSums(), time: 0, score: -0.0)
        #expect(table.scoreStep == nil)
        table.add(ScoreSums(), time: 0, score: 0.512)
        #expect(table.scoreStep == 1.0 / 512)
        #expect(table.timeStep == nil)
    }

    @Test func `the largest scores are scores`() throws {
        // As those of the log by hand, in its order, so that the same threshold is chosen.
        let sizes = ["1": "-1e308", "2": "-1e301", "3": "1e301", "4": "1.7e308"]
        let pairs = Self.pairs.map {
            Pair(slm: $0.slm, llm: $0.llm, score: $0.score.flatMap { sizes[$0] }, arrived: $0.arrived)
        }
        let report = try Self.report(Self.scenario([.share(0.5)]), pairs)
        #expect(
            try Self.texts(report, 0, Self.numbers) == ["1e+301", "0.5000", "0.5000", "1.0000", "0.7500", "0.2500"])
        // In steps, none of them gets a first score that is no number, or one above it.
        var table = ScoreTable()
        var generator = TestGenerator(7)
        var scores = [-Double.greatestFiniteMagnitude, .greatestFiniteMagnitude]
        for _ in 0..<600 { scores.append(Double.random(in: -1...1, using: &generator) * 1.7e308) }
        for score in scores { table.add(ScoreSums(), time: 0, score: score) }
        #expect(table.scoreStep != nil)
        let firsts = Set(table.cells.keys.map(\.score))
        #expect(firsts.count <= ScoreTable.scoreLimit && firsts.allSatisfy(\.isFinite))
        #expect(firsts.min() == -.greatestFiniteMagnitude)
    }

    @Test func `equal scores are said`() throws {
        let pairs = Self.pairs.map { Pair(slm: $0.slm, llm: $0.llm, score: "0.5", arrived: $0.arrived) }
        let report = try Self.report(Self.scenario([.share(0.3)]), pairs)
        #expect(try Self.texts(report, 0, ["result"]) == ["chosen; all scores are equal: all or none is sent"])
    }

    @Test func `requests of one cluster have no interval`() throws {
        var scenario = Self.scenario([])
        scenario.policies = [PolicyEntry(name: "llm", counterfactual: .llmOnly)]
        scenario.replicates = 100
        func intervals(_ cluster: Cluster) throws -> (count: Int, notes: [String]) {
            scenario.cluster = cluster
            // Every fifth pair is of the question q0.
            var simulation = try TraceSimulation(scenario)
            for (index, pair) in Self.pairs.enumerated() { try simulation.add(Self.request(pair, index * 5)) }
            let section = try #require(simulation.report().sections.first { $0.name == "policies" })
            let findings = section.table?.rows.joined().compactMap { cell in
                if case .finding(let finding) = cell { finding.interval } else { nil }
            }
            return (try #require(findings).count, section.notes)
        }
        #expect(try intervals(.request).count > 0)
        let one = try intervals(.tag("question"))
        #expect(one.count == 0)
        #expect(one.notes == ["There are no intervals: all requests are of one cluster (question)."])
    }
}
