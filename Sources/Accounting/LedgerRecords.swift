/// How a request ended, as the ledger says it.
package enum Outcome: String, Sendable, CaseIterable {
    /// The answer is whole: it ended by itself, at a stop string or at a limit of tokens.
    case completed
    /// The caller left before the end.
    case clientGone = "client_gone"
    /// The request ended in an error after it had been admitted.
    case failed
    /// The gateway was stopped before the answer was whole.
    case cut
}

/// One request and everything that was done for it: what the ledger inserts in one statement.
package struct RequestRecord: Sendable {
    package var id: UUID7
    package var tenant: UUID7
    package var key: UUID7
    /// The public model name that the caller asked for.
    package var model: String
    /// The policy as configured, for example `fixed(100)`.
    package var policy: String
    /// The version of the configuration that the policy came from.
    package var policyVersion: String
    /// The probability of the choice that was drawn, when one was.
    package var propensity: Double?
    /// `chat` or `completions`.
    package var endpoint: String
    package var isStream: Bool
    package var choices: Int
    package var started: Timestamp
    package var finished: Timestamp
    package var outcome: Outcome
    /// OpenAI's finish reasons of the choices, joined by commas: `stop`, `length`, …
    package var finish: String
    /// The code of the error that the caller got, if one.
    package var errorCode: String?
    /// Why the relay went on without the LLM, if it did.
    package var degraded: String?
    package var calls: Int
    package var malformed: Int
    package var promptTokens: Int
    package var slmTokens: Int
    package var llmTokens: Int
    package var commandTokens: Int
    package var visibleTokens: Int
    /// What the caller said of the request, as far as its tenant has chosen: by key, each once.
    package var tags: [RequestTag]
    package var segments: [SegmentRecord]
    /// Text or hashes, as the tenant's `capture` says; empty when it says none.
    package var payloads: [PayloadRecord]

    package init(
        id: UUID7, tenant: UUID7, key: UUID7, model: String, policy: String, policyVersion: String,
        propensity: Double?, endpoint: String, isStream: Bool, choices: Int, started: Timestamp
    ) {
        self.id = id
        self.tenant = tenant
        self.key = key
        self.model = model
        self.policy = policy
        self.policyVersion = policyVersion
        self.propensity = propensity
        self.endpoint = endpoint
        self.isStream = isStream
        self.choices = choices
        self.started = started
        finished = started
        outcome = .completed
        finish = ""
        errorCode = nil
        degraded = nil
        calls = 0
        malformed = 0
        promptTokens = 0
        slmTokens = 0
        llmTokens = 0
        commandTokens = 0
        visibleTokens = 0
        tags = []
        segments = []
        payloads = []
    }
}

/// A dimension of reports that callers name: a member of `metadata`, or `user`.
package struct RequestTag: Sendable, Equatable {
    package let key: String
    package let value: String

    package init(key: String, value: String) {
        self.key = key
        self.value = value
    }
}

/// One attempt at one segment: one generation asked of one upstream, or a call that was refused before it was made.
package struct SegmentRecord: Sendable {
    /// Which of the request's choices, from 0.
    package var choice: Int
    /// The place among the choice's segments, from 0.
    package var sequence: Int
    /// From 1; a retry of the same segment is the next attempt.
    package var attempt: Int
    /// `slm` or `llm`.
    package var role: String
    package var model: String
    package var upstream: String
    /// The n of the command, as the SLM wrote it (saturated); nil where no command led here.
    package var requested: Int?
    package var granted: Int?
    /// Prompt tokens that the server read, cached ones included; nil if it did not say.
    package var promptTokens: Int?
    package var cachedTokens: Int?
    /// Prompt tokens that the server wrote to its cache; nil if it did not say.
    package var cacheWriteTokens: Int?
    /// Tokens that the server generated, those of commands and stop strings included.
    package var generatedTokens: Int
    /// How many of them were the relay's command.
    package var commandTokens: Int
    /// Where `generatedTokens` came from: `reported`, `counted` or `estimated`.
    package var source: String
    /// Where `commandTokens` came from, likewise.
    package var commandSource: String
    package var finish: String
    package var started: Timestamp
    /// Microseconds from the start to the first text, and to the end.
    package var firstTokenMicroseconds: Int64?
    package var durationMicroseconds: Int64
    package var error: String?
    /// What leases pay for it, one for each budget that counts it.
    package var charges: [ChargeRecord] = []

    package init(
        choice: Int, sequence: Int, attempt: Int, role: String, model: String, upstream: String, requested: Int?,
        granted: Int?, promptTokens: Int?, cachedTokens: Int?, generatedTokens: Int, commandTokens: Int,
        source: String, commandSource: String, finish: String, started: Timestamp, firstTokenMicroseconds: Int64?,
        durationMicroseconds: Int64, error: String?
    ) {
        self.choice = choice
        self.sequence = sequence
        self.attempt = attempt
        self.role = role
        self.model = model
        self.upstream = upstream
        self.requested = requested
        self.granted = granted
        self.promptTokens = promptTokens
        self.cachedTokens = cachedTokens
        self.generatedTokens = generatedTokens
        self.commandTokens = commandTokens
        self.source = source
        self.commandSource = commandSource
        self.finish = finish
        self.started = started
        self.firstTokenMicroseconds = firstTokenMicroseconds
        self.durationMicroseconds = durationMicroseconds
        self.error = error
    }
}

/// A piece of text of a request, or only its hash.
package struct PayloadRecord: Sendable {
    /// `prompt`; `answer.<choice>`, what the caller saw; `controller.<choice>`, the same with the commands.
    package var part: String
    package var sha256: [UInt8]
    /// Nil when the tenant's `capture` is `hashes`.
    package var body: [UInt8]?

    package init(part: String, sha256: [UInt8], body: [UInt8]?) {
        self.part = part
        self.sha256 = sha256
        self.body = body
    }
}

/// What a request cost, as far as the ledger has said.
package enum RequestCost: Sendable, Equatable {
    /// All of its attempts that were served, in pico-dollars.
    case pico(Int)
    /// One of them has no cost, which is not 0.
    case unpriced
    /// Its rows are not in the tables, or were there before and what they say was not asked.
    case unknown
}
