import Accounting
import RelayCore
import Testing

@testable import Simulator

/// A request of a trace, with the world that it lives in. The log is what happened, with parts left out.
struct BruteForceCase {
    var world: ScriptedWorld
    var request: LoggedRequest
    /// How it was served.
    let served: ScriptedWorld.Change
    /// The score that a threshold asks for; nil when the tag is missing or no number.
    var score: Double?
    /// Whether servers kept counts of prompts to themselves.
    var hidesPrompts = false

    /// Whether every one of its answers has a verdict of the source that is believed.
    var isJudged: Bool {
        Set(request.verdicts.filter { $0.source == "test" }.map(\.choice)).count == request.choices
    }

    // MARK: What is true

    /// The answers under a change, of the slow relay.
    func runs(_ change: ScriptedWorld.Change) -> [SlowRelay.Run] {
        let change = effective(change)
        let world = world(under: change)
        return (0..<request.choices).map { SlowRelay.run(world, change, choice: $0) }
    }

    /// One model alone has no examples before its question; what it reads is counted as what the log counted.
    private func world(under change: ScriptedWorld.Change) -> ScriptedWorld {
        var world = world
        switch change {
        case .slm, .llm, .llmRefused:
            world.prompt = request.promptTokens
            world.examples = nil
        default: break
        }
        return world
    }

    /// Limits on calls change nothing for what one model wrote alone.
    private func effective(_ change: ScriptedWorld.Change) -> ScriptedWorld.Change {
        switch (served, change) {
        case (.slm, .fixed), (.llm, .fixed), (.llmRefused, .fixed), (.none, _), (_, .slm), (_, .llm): change
        default: served
        }
    }

    func truth(_ change: ScriptedWorld.Change) -> SlowTotals { SlowTotals(runs(change)) }

    /// With so many LLM tokens left in its budgets.
    func truth(left: Int) -> SlowTotals {
        switch served {
        case .slm, .llmRefused: return truth(.none)
        case .llm:
            let alone = truth(.none)
            if alone.llmTokens <= left { return alone }
            var totals = truth(.slm)
            totals.degraded = 1
            return totals
        default:
            var left = left
            var runs: [SlowRelay.Run] = []
            for choice in 0..<request.choices {
                runs.append(SlowRelay.run(world, .answerTokens(left), choice: choice))
                left -= runs[choice].llmTokens
            }
            return SlowTotals(runs)
        }
    }

    // MARK: The two relays

    /// One answer, by the product's relay and by the slow one.
    func compare(_ change: ScriptedWorld.Change) {
        for choice in 0..<request.choices {
            let product = world.run(change, choice: choice)
            let slow = SlowRelay.run(world, change, choice: choice)
            var sequence = -1
            let segments = slow.segments.map { segment in
                if segment.attempt == 1 { sequence += 1 }
                let isServed = segment.prompt != nil
                let free = segment.prompt == nil ? 0 : nil
                return LoggedSegment(
                    role: segment.isLLM ? .llm : .slm, choice: choice, sequence: sequence, attempt: segment.attempt,
                    model: segment.isLLM ? "large" : "small", requested: segment.requested, granted: segment.granted,
                    tokens: segment.tokens, commandTokens: segment.commandTokens,
                    finish: LoggedSegment.Finish(segment.finish), inputTokens: segment.prompt,
                    cachedTokens: isServed ? segment.cached : nil,
                    cacheWriteTokens: isServed ? segment.cacheWritten : nil,
                    costPico: free
                        ?? ScriptedModels.bill(segment.prompt ?? 0, segment.tokens, isLLM: segment.isLLM),
                    startedMicroseconds: Int64(segment.began),
                    durationMicroseconds: Int64(segment.ended - segment.began))
            }
            #expect(product.segments == segments, "\(change)")
            #expect(product.calls == slow.calls && product.verdict == slow.verdict, "\(change)")
        }
    }
}

// MARK: - Random traces

extension BruteForceCase {
    /// The requests of one trace.
    static func cases(_ generator: inout TestGenerator, _ world: ScriptedWorld) -> [BruteForceCase] {
        // 2026-01-30: the days that follow are of another month.
        var moment: Int64 = 1_769_731_200_000_000
        return (0..<Int.random(in: 1...8, using: &generator)).map { index in
            moment += [60, 1_800, 40_000][Int.random(in: 0..<3, using: &generator)] * 1_000_000
            return BruteForceCase(&generator, index, world, at: moment)
        }
    }

    private init(_ generator: inout TestGenerator, _ index: Int, _ world: ScriptedWorld, at arrived: Int64) {
        var world = world
        world.seed = generator.next()
        let choices = Int.random(in: 0..<6, using: &generator) == 0 ? 2 : 1
        let draw = Int.random(in: 0..<14, using: &generator)
        let served: ScriptedWorld.Change =
            switch draw {
            case 0, 1: .slm
            case 2, 3: .llm
            case 4: .llmRefused
            default: .none
            }
        if case .none = served, world.fixedTokens == nil, draw < 8 {
            world.examples = Int.random(in: 0...12, using: &generator)
        }
        let fork = ScriptedModels.Fork()
        world.fork = fork
        let runs = (0..<choices).map { world.run(served, choice: $0) }
        world.fork = nil
        var request = LoggedRequest(
            id: UUID7(high: UInt64(index + 1) << 16, low: 0), tenant: "t\(index % 3)", model: "relay",
            policy: BruteForceCase.policy(served, world, isDrawn: draw % 2 == 0),
            arrived: Timestamp(microseconds: arrived), choices: choices,
            promptTokens: world.prompt + (world.examples ?? 0))
        request.segments = runs.flatMap(\.segments)
        self.init(world: world, request: request, served: served)
        judge(&generator, runs)
        tag(&generator)
        runAlone(&generator, fork)
        hide(&generator)
        self.world.seen = fork.asked
    }

    private static func policy(_ served: ScriptedWorld.Change, _ world: ScriptedWorld, isDrawn: Bool) -> String {
        switch served {
        case .slm: isDrawn ? "random(0.3)" : "slm"
        case .llm, .llmRefused: isDrawn ? "random(0.3)" : "llm"
        default: world.fixedTokens.map { "fixed(\($0))" } ?? (world.examples == nil ? "relay" : "prompted")
        }
    }

    /// Verdicts of nobody, of one of two answers, of all, and of a source that is not believed.
    private mutating func judge(_ generator: inout TestGenerator, _ runs: [ScriptedWorld.Run]) {
        let draw = Int.random(in: 0..<10, using: &generator)
        for (choice, run) in runs.enumerated() where draw > 1 || draw == 1 && choice > 0 {
            request.verdicts.append(LoggedVerdict(choice: choice, source: "test", verdict: run.verdict))
        }
        if Int.random(in: 0..<4, using: &generator) == 0 {
            request.verdicts.insert(LoggedVerdict(choice: 0, source: "other", verdict: 500_000), at: 0)
        }
    }

    private mutating func tag(_ generator: inout TestGenerator) {
        let tenth = Int.random(in: 0..<10, using: &generator)
        switch Int.random(in: 0..<10, using: &generator) {
        case 0: break
        case 1:
            let word = ["high", "", "nan", "inf"].randomElement(using: &generator) ?? ""
            request.tags = [RequestTag(key: "score", value: word)]
        default:
            score = Double(tenth) / 10
            request.tags = [RequestTag(key: "score", value: "0.\(tenth)")]
        }
    }

    /// What either model alone answered beside the log; a model that needed several generations is not recorded so.
    private mutating func runAlone(_ generator: inout TestGenerator, _ fork: ScriptedModels.Fork) {
        func alone(_ change: ScriptedWorld.Change) -> LoggedAlone? {
            guard Int.random(in: 0..<3, using: &generator) > 0 else { return nil }
            var world = world
            world.examples = nil
            // Beside the log servers break off where they like.
            let runs = (0..<request.choices).map { world.run(change, choice: $0) }
            guard runs.allSatisfy({ $0.segments.count == 1 }) else { return nil }
            world.fork = fork
            for choice in 0..<request.choices { _ = world.run(change, choice: choice) }
            let verdict = (runs.reduce(0) { $0 + $1.verdict } + request.choices / 2) / request.choices
            return LoggedAlone(
                verdict: Int.random(in: 0..<6, using: &generator) == 0 ? nil : verdict,
                tokens: runs.reduce(0) { $0 + $1.slmTokens + $1.llmTokens })
        }
        request.slmOnly = alone(.slm)
        request.llmOnly = alone(.llm)
    }

    /// Servers that do not say what they read, or what of it was in their cache.
    private mutating func hide(_ generator: inout TestGenerator) {
        let draw = Int.random(in: 0..<12, using: &generator)
        guard draw < 2 else { return }
        hidesPrompts = draw == 0
        for index in request.segments.indices {
            // What gave neither text nor a count was not served.
            if draw == 0, request.segments[index].tokens > 0 { request.segments[index].inputTokens = nil }
            request.segments[index].cachedTokens = nil
            request.segments[index].cacheWriteTokens = nil
        }
    }
}
