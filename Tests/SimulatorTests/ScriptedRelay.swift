import Accounting
import RelayCore

@testable import Simulator

/// Two scripted models and the real relay between them: what really happens under any policy.
///
/// The models are those of `ScriptedModels`; `SlowRelay` runs the same world without the product.
struct ScriptedWorld {
    enum Budget {
        case none
        case clamps(Int)
        case refuses(Int)
    }

    /// A rule that is changed; nil changes nothing.
    enum Change {
        case none
        case callTokens(Int)
        case calls(Int)
        case answerTokens(Int)
        case fixed(Int)
        case slm, llm
        /// The LLM was to write, and a budget refused the answer whole: the SLM writes it, or nobody.
        case llmRefused
    }

    struct Run {
        var segments: [LoggedSegment] = []
        var calls = 0
        var verdict = 0
        var isRefused = false

        var llmTokens: Int { segments.reduce(0) { $0 + ($1.role == .llm ? $1.tokens : 0) } }
        var slmTokens: Int { segments.reduce(0) { $0 + ($1.role == .slm ? $1.tokens : 0) } }
    }

    /// What the models say depends on it.
    var seed: UInt64
    var configuration: RelayConfiguration
    var fixedTokens: Int?
    var prompt: Int
    var budget: Budget
    /// Whether servers can keep a model from writing a command.
    var canForbid: Bool
    /// Whether the end of a text is a token in the server's count.
    var countsEnd: Bool
    /// Tokens of the worked examples that stand in the SLM's prompt; nil without any.
    var examples: Int?
    /// What is the same where the log has looked, and different elsewhere.
    var fork: ScriptedModels.Fork?
    /// What the log has asked of the models; nil while it is written.
    var seen: Set<ScriptedModels.Fork.Question>?

    func models(_ choice: Int) -> ScriptedModels {
        ScriptedModels(seed: seed, choice: choice, isPrompted: examples != nil, fork: fork, seen: seen)
    }

    /// The same limits for the slow relay.
    var rules: SlowRelay.Rules {
        SlowRelay.Rules(
            maxTokens: configuration.maxTokens, maxCalls: configuration.maxCalls,
            maxCallTokens: configuration.maxCallTokens, maxMalformed: configuration.maxMalformed,
            resumesAfterLLM: configuration.onLLMEndOfSequence == .resume,
            failsOnRefusal: configuration.onRefusal == .fail)
    }

    /// Runs one answer by the product's relay.
    func run(_ change: Change, choice: Int = 0) -> Run {
        var configuration = configuration
        var script = Script(writer: .relay(fixedTokens: fixedTokens))
        var answerTokens = Int.max
        switch change {
        case .none: break
        case .callTokens(let most): configuration.maxCallTokens = min(configuration.maxCallTokens, most)
        case .calls(let most): configuration.maxCalls = min(configuration.maxCalls, most)
        case .answerTokens(let most): answerTokens = most
        case .fixed(let tokens): script = Script(writer: .relay(fixedTokens: tokens))
        case .slm: script = Script(writer: .slm)
        case .llm, .llmRefused: script = Script(writer: .llm)
        }
        var player = Player(
            world: self, models: models(choice),
            machine: RelayMachine(script: script, configuration: configuration), left: answerTokens)
        if case .llmRefused = change { player.refusesAnswer = true }
        return player.play()
    }

    /// One attempt at a segment.
    private struct Attempt {
        /// Nil where the server was not reached.
        var prompt: Int?
        var tokens: Int
    }

    private struct Player {
        let world: ScriptedWorld
        let models: ScriptedModels
        var machine: RelayMachine
        /// LLM tokens that the answer may still have.
        var left: Int
        var refusesAnswer = false
        /// Of each segment of the machine the attempts at it; none where nobody was asked.
        var attempts: [[Attempt]] = []
        var visible = 0
        var controller = 0

        mutating func play() -> Run {
            var actions = machine.handle(.begin)
            while !actions.isEmpty {
                var next: [RelayAction] = []
                for action in actions {
                    switch action {
                    case .emit, .cancelGeneration, .finish: break
                    case .reserve(_, let wanted): next += reserve(wanted)
                    case .reserveAnswer: next += reserveAnswer()
                    case .generate(let generation): next += generate(generation)
                    }
                }
                actions = next
            }
            return result()
        }

        private mutating func reserve(_ wanted: Int) -> [RelayAction] {
            let before = machine.segments.count
            let tokens = min(wanted, left)
            var answer = RelayEvent.callGranted(tokens: tokens)
            if tokens == 0 {
                answer = .callRefused(.limit)
            } else if models.isBroken(machine.transcript.view) {
                answer = .callRefused(.breaker)
            } else {
                switch world.budget {
                case .none: break
                case .clamps(let most): answer = .callGranted(tokens: min(tokens, most))
                case .refuses(let most): if tokens > most { answer = .callRefused(.budget) }
                }
            }
            let actions = machine.handle(answer)
            if machine.segments.count > before { attempts.append([]) }
            return actions
        }

        private mutating func reserveAnswer() -> [RelayAction] {
            guard refusesAnswer else { return machine.handle(.callGranted(tokens: 1 << 20)) }
            let actions = machine.handle(.callRefused(.budget))
            attempts.append([])
            return actions
        }

        private mutating func generate(_ generation: Generation) -> [RelayAction] {
            let isLLM = generation.role == .llm
            let prompt = world.prompt + (isLLM ? visible : controller + (world.examples ?? 0))
            let start = machine.transcript.text(for: generation.role)
            let failsAfter = isLLM ? models.failsAfter(start) : Int.max
            var text = start
            var tokens = 0
            var actions: [RelayAction] = []
            var end = GenerationEnd.Finish.length
            var failed = false
            while tokens < generation.maxTokens ?? 400 {
                if tokens == failsAfter {
                    failed = true
                    break
                }
                let unit = isLLM ? models.llm(text) : models.slm(text, generation.commandsForbidden && world.canForbid)
                if unit.isEmpty {
                    end = .stop
                    if world.countsEnd { tokens += 1 }
                    break
                }
                let isCommand = unit.count > 1
                let size = isCommand ? 3 : 1
                guard tokens + size <= generation.maxTokens ?? 400 else {
                    tokens = generation.maxTokens ?? 400
                    actions += machine.handle(.text(Array("<call>".utf8), generated: tokens))
                    break
                }
                tokens += size
                text += unit
                actions += machine.handle(.text(unit, generated: tokens))
                if isCommand {
                    end = .stop
                    break
                }
            }
            let before = machine.segments.count
            actions +=
                failed
                ? machine.handle(
                    .generationFailed(GenerationFailure(.upstream, generatedTokens: tokens, source: .reported)))
                : machine.handle(
                    .generationEnded(GenerationEnd(end, generatedTokens: tokens, source: .reported)))
            attempts.append([])
            if before < machine.segments.count {
                attempts[before] = attempted(machine.segments[before], prompt, start)
                controller += machine.segments[before].generatedTokens
                visible += machine.segments[before].visibleTokens
                if isLLM { left -= machine.segments[before].generatedTokens }
            }
            // A call that is refused at once has a segment of its own, without a prompt.
            for _ in (before + 1)..<max(before + 1, machine.segments.count) { attempts.append([]) }
            return actions
        }

        /// The attempts at a segment: some fail before their first byte, those of an SLM also in the middle.
        private func attempted(_ segment: Segment, _ prompt: Int, _ text: [UInt8]) -> [Attempt] {
            let isLLM = segment.role == .llm
            let failed = Array(repeating: Attempt(tokens: 0), count: models.failedAttempts(text, isLLM: isLLM))
            let broken = isLLM ? Int.max : models.breaksAfter(text)
            guard broken < segment.visibleTokens else {
                return failed + [Attempt(prompt: prompt, tokens: segment.generatedTokens)]
            }
            return failed + [
                Attempt(prompt: prompt, tokens: broken),
                Attempt(prompt: prompt + broken, tokens: segment.generatedTokens - broken),
            ]
        }

        private func result() -> Run {
            var run = Run(calls: machine.calls, verdict: models.verdict(machine.transcript.client))
            var clock: Int64 = 0
            for (index, segment) in machine.segments.enumerated() {
                let tries = attempts[index].isEmpty ? [Attempt(tokens: 0)] : attempts[index]
                for (place, attempt) in tries.enumerated() {
                    let isLast = place + 1 == tries.count
                    let isLLM = segment.role == .llm
                    var logged = LoggedSegment(
                        role: isLLM ? .llm : .slm, choice: models.choice, sequence: index, attempt: place + 1,
                        model: isLLM ? "large" : "small", tokens: attempt.tokens, finish: .failed,
                        inputTokens: attempt.prompt, costPico: 0, startedMicroseconds: clock)
                    if isLast {
                        (logged.requested, logged.granted) = (segment.requested, segment.granted)
                        logged.commandTokens = segment.commandTokens
                        logged.finish = LoggedSegment.Finish(name(segment.finish))
                    }
                    if let prompt = attempt.prompt {
                        let cache = models.cached(prompt, isLLM: isLLM)
                        (logged.cachedTokens, logged.cacheWriteTokens) = (cache.read, cache.written)
                        logged.costPico = ScriptedModels.bill(prompt, attempt.tokens, isLLM: isLLM)
                    }
                    if !attempts[index].isEmpty { logged.durationMicroseconds = Int64(1_000 * attempt.tokens + 700) }
                    clock += logged.durationMicroseconds
                    run.segments.append(logged)
                }
            }
            return run
        }

        private func name(_ finish: Segment.Finish) -> String {
            switch finish {
            case .call: "call"
            case .malformed: "malformed"
            case .forbidden: "forbidden"
            case .stop: "stop"
            case .length: "length"
            case .cancelled: "cancelled"
            case .refused(let reason): "refused_" + reason.rawValue
            case .failed: "failed"
            case .other(let reason): reason
            }
        }
    }
}

extension ScriptedWorld {
    /// A random world.
    init(using generator: inout some RandomNumberGenerator) {
        seed = generator.next()
        configuration = RelayConfiguration(
            maxTokens: Bool.random(using: &generator) ? nil : Int.random(in: 8...60, using: &generator),
            maxCalls: Int.random(in: 0...4, using: &generator),
            maxCallTokens: Int.random(in: 2...14, using: &generator),
            maxMalformed: Int.random(in: 1...3, using: &generator),
            onLLMEndOfSequence: Bool.random(using: &generator) ? .finish : .resume,
            onRefusal: Int.random(in: 0..<5, using: &generator) == 0 ? .fail : .degrade)
        fixedTokens = Int.random(in: 0..<4, using: &generator) == 0 ? Int.random(in: 1...16, using: &generator) : nil
        prompt = Int.random(in: 0...30, using: &generator)
        budget =
            switch Int.random(in: 0..<5, using: &generator) {
            case 0: .clamps(Int.random(in: 1...9, using: &generator))
            case 1: .refuses(Int.random(in: 1...9, using: &generator))
            default: .none
            }
        canForbid = Bool.random(using: &generator)
        countsEnd = Bool.random(using: &generator)
    }
}
