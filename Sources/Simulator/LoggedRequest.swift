package import Accounting

/// One attempt at one piece of an answer, as a trace has it and as far as a replay needs it.
package struct LoggedSegment: Sendable, Equatable {
    package enum Role: UInt8, Sendable { case slm, llm }

    /// How it ended.
    package enum Finish: UInt8, Sendable {
        /// The SLM wrote a command: a turn is over.
        case call
        case malformed
        /// The SLM wrote a command although commands were forbidden.
        case forbidden
        case stop, length, cancelled, failed
        /// The call was not made because of its tokens: a budget, a limit, or nobody could say.
        case refusedForTokens
        /// The call was not made for a reason that no n changes: the window, `max_tokens`, the breaker.
        case refusedOtherwise
        case other

        /// Reads the word of the trace format.
        package init(_ word: String) {
            self =
                switch word {
                case "call": .call
                case "malformed": .malformed
                case "forbidden": .forbidden
                case "stop": .stop
                case "length": .length
                case "cancelled": .cancelled
                case "failed": .failed
                case "refused_budget", "refused_limit", "refused_unavailable": .refusedForTokens
                default: word.hasPrefix("refused_") ? .refusedOtherwise : .other
                }
        }

        /// Whether the call was not made at all.
        package var isRefused: Bool { self == .refusedForTokens || self == .refusedOtherwise }
    }

    package var role: Role
    package var choice: Int
    package var sequence: Int
    package var attempt: Int
    package var model: String
    package var requested: Int?
    package var granted: Int?
    package var tokens: Int
    package var commandTokens: Int
    package var finish: Finish
    /// Prompt tokens that the server read, cached ones included; nil when it did not say.
    package var inputTokens: Int?
    package var cachedTokens: Int?
    package var cacheWriteTokens: Int?
    /// Pico-dollars; nil when nobody can say.
    package var costPico: Int?
    /// From the arrival of the request.
    package var startedMicroseconds: Int64
    package var durationMicroseconds: Int64

    package init(
        role: Role, choice: Int = 0, sequence: Int, attempt: Int = 1, model: String, requested: Int? = nil,
        granted: Int? = nil, tokens: Int, commandTokens: Int = 0, finish: Finish, inputTokens: Int? = nil,
        cachedTokens: Int? = nil, cacheWriteTokens: Int? = nil, costPico: Int? = nil, startedMicroseconds: Int64 = 0,
        durationMicroseconds: Int64 = 0
    ) {
        self.role = role
        self.choice = choice
        self.sequence = sequence
        self.attempt = attempt
        self.model = model
        self.requested = requested
        self.granted = granted
        self.tokens = tokens
        self.commandTokens = commandTokens
        self.finish = finish
        self.inputTokens = inputTokens
        self.cachedTokens = cachedTokens
        self.cacheWriteTokens = cacheWriteTokens
        self.costPico = costPico
        self.startedMicroseconds = startedMicroseconds
        self.durationMicroseconds = durationMicroseconds
    }

    /// Tokens that the caller saw.
    var visibleTokens: Int { max(0, tokens - commandTokens) }
}

/// What one model alone answered to the same question.
package struct LoggedAlone: Sendable, Equatable {
    /// Millionths; nil when nobody judged.
    package var verdict: Int?
    package var tokens: Int

    package init(verdict: Int?, tokens: Int) {
        self.verdict = verdict
        self.tokens = tokens
    }
}

/// A judgement of one answer.
package struct LoggedVerdict: Sendable, Equatable {
    package var choice: Int
    package var source: String
    /// Millionths: 1,000,000 is right.
    package var verdict: Int

    package init(choice: Int, source: String, verdict: Int) {
        self.choice = choice
        self.source = source
        self.verdict = verdict
    }
}

/// What a replay needs of one line of a trace.
package struct LoggedRequest: Sendable {
    /// The largest count of tokens that a replay takes, so that no sum can overflow.
    package static let tokenLimit = 1_000_000_000
    /// The most segments of one request, for the same reason.
    package static let segmentLimit = 10_000

    package var id: UUID7
    package var tenant: String
    /// The public model name.
    package var model: String
    /// As configured: `relay`, `fixed(100)`.
    package var policy: String
    package var propensity: Double?
    package var arrived: Timestamp
    package var choices: Int
    package var promptTokens: Int
    /// Only those that the scenario asks for.
    package var tags: [RequestTag]
    /// In order of choice, sequence, attempt.
    package var segments: [LoggedSegment]
    package var verdicts: [LoggedVerdict]
    package var slmOnly: LoggedAlone?
    package var llmOnly: LoggedAlone?
    /// The probability with which the request was drawn for the runs of the models alone; nil when nobody said.
    package var inclusionProbability: Double?

    package init(
        id: UUID7, tenant: String, model: String, policy: String, propensity: Double? = nil, arrived: Timestamp,
        choices: Int = 1, promptTokens: Int, tags: [RequestTag] = [], segments: [LoggedSegment] = [],
        verdicts: [LoggedVerdict] = [], slmOnly: LoggedAlone? = nil, llmOnly: LoggedAlone? = nil,
        inclusionProbability: Double? = nil
    ) {
        self.id = id
        self.tenant = tenant
        self.model = model
        self.policy = policy
        self.propensity = propensity
        self.arrived = arrived
        self.choices = choices
        self.promptTokens = promptTokens
        self.tags = tags
        self.segments = segments
        self.verdicts = verdicts
        self.slmOnly = slmOnly
        self.llmOnly = llmOnly
        self.inclusionProbability = inclusionProbability
    }

    /// The value of a tag; nil when the request has none of this name.
    package func tag(_ key: String) -> String? { tags.first { $0.key == key }?.value }

    /// Whether a segment is the last attempt at a call that was served; an answer of the LLM alone is no call.
    func isServedCall(_ index: Int) -> Bool {
        let segment = segments[index]
        guard segment.role == .llm, !segment.finish.isRefused,
            segment.granted != nil || segment.requested != nil || segment.sequence > 0
        else { return false }
        return !isTriedAgain(index)
    }

    /// Whether another attempt at the same piece of the answer follows.
    func isTriedAgain(_ index: Int) -> Bool {
        index + 1 < segments.count && segments[index + 1].sequence == segments[index].sequence
            && segments[index + 1].choice == segments[index].choice
    }

    /// Calls of the LLM that were served, as the ledger counts them: attempts at one call are one, and a refused call
    /// is none.
    package var servedCalls: Int { segments.indices.count { isServedCall($0) } }

    /// Who wrote, as the logged policy and the segments say.
    package var writer: LoggedWriter {
        switch policy {
        case "relay": return .relay
        case "prompted": return .prompted
        case "slm": return .slm
        case "llm": return .llm
        default: break
        }
        if policy.hasPrefix("fixed(") { return .fixed }
        if policy.hasPrefix("random(") { return segments.first?.role == .llm ? .llm : .slm }
        return .relay
    }
}

/// Who wrote an answer.
package enum LoggedWriter: Sendable {
    /// The SLM with calls; `prompted` with another prompt, `fixed` with another n than the SLM wrote.
    case relay, prompted, fixed
    case slm, llm

    var isRelay: Bool { self != .slm && self != .llm }
}
