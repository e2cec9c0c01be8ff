import Accounting
import RelayCore

@testable import Simulator

/// Two scripted models and the real relay between them: what really happens under any policy.
///
/// Each model is a function of what it has been shown, one token after the other, so that the same text and a smaller
/// limit give the same first tokens. A token is a letter; a command is three tokens.
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

    /// Runs one answer.
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
        case .llm: script = Script(writer: .llm)
        }
        var player = Player(
            world: self, choice: UInt64(choice), machine: RelayMachine(script: script, configuration: configuration),
            left: answerTokens)
        return player.play()
    }

    private struct Player {
        let world: ScriptedWorld
        let choice: UInt64
        var machine: RelayMachine
        /// LLM tokens that the answer may still have.
        var left: Int
        var inputs: [Int] = []
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
                    case .reserveAnswer: next += machine.handle(.callGranted(tokens: 1 << 20))
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
            } else if draw(machine.transcript.view, 91) % 23 == 0 {
                answer = .callRefused(.breaker)
            } else {
                switch world.budget {
                case .none: break
                case .clamps(let most): answer = .callGranted(tokens: min(tokens, most))
                case .refuses(let most): if tokens > most { answer = .callRefused(.budget) }
                }
            }
            let actions = machine.handle(answer)
            if machine.segments.count > before { inputs.append(0) }
            return actions
        }

        private mutating func generate(_ generation: Generation) -> [RelayAction] {
            let isLLM = generation.role == .llm
            inputs.append(world.prompt + (isLLM ? visible : controller))
            let start = machine.transcript.text(for: generation.role)
            let failsAfter = isLLM && draw(start, 17) % 19 == 0 ? Int(draw(start, 18) % 6) : Int.max
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
                let unit = isLLM ? llmUnit(text) : slmUnit(text, generation.commandsForbidden && world.canForbid)
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
            if before < machine.segments.count {
                controller += machine.segments[before].generatedTokens
                visible += machine.segments[before].visibleTokens
                if isLLM { left -= machine.segments[before].generatedTokens }
            }
            // A call that is refused at once has a segment of its own, without a prompt.
            for _ in (before + 1)..<max(before + 1, machine.segments.count) { inputs.append(0) }
            return actions
        }

        private func draw(_ text: [UInt8], _ salt: UInt64) -> UInt64 {
            var hash = world.seed &* 31 &+ choice &* 7919 &+ salt
            for byte in text { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
            hash = (hash ^ (hash >> 30)) &* 0xBF58_476D_1CE4_E5B9
            return (hash ^ (hash >> 27)) &* 0x94D0_49BB_1331_11EB >> 16
        }

        private func llmUnit(_ text: [UInt8]) -> [UInt8] {
            let word = draw(text, 1)
            if word % 11 == 0 || text.count > 150 { return [] }
            return [UInt8(ascii: "A") + UInt8(word / 11 % 26)]
        }

        private func slmUnit(_ text: [UInt8], _ isForbidden: Bool) -> [UInt8] {
            let word = draw(text, 2)
            let pick = word / 64 % 100
            if text.count > 150 || pick < 5 { return [] }
            if pick < 22, !isForbidden {
                let n = [0, 1, 2, 3, 4, 5, 7, 9, 12, 30][Int(word / 6400 % 10)]
                return Array((pick < 8 ? "<call>x</call>" : "<call>\(n)</call>").utf8)
            }
            return [UInt8(ascii: "a") + UInt8(word % 26)]
        }

        private func result() -> Run {
            var run = Run(calls: machine.calls, verdict: Int(draw(machine.transcript.client, 5) % 2) * 1_000_000)
            for (index, segment) in machine.segments.enumerated() {
                let isRefused = segment.granted == 0
                run.segments.append(
                    LoggedSegment(
                        role: segment.role == .slm ? .slm : .llm, choice: Int(choice), sequence: index,
                        model: segment.role == .slm ? "small" : "large", requested: segment.requested,
                        granted: segment.granted, tokens: segment.generatedTokens,
                        commandTokens: segment.commandTokens, finish: LoggedSegment.Finish(name(segment.finish)),
                        inputTokens: isRefused ? nil : inputs[index]))
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
