internal import Accounting

/// The `relay` object of a response: who wrote what, and what was counted.
package struct RelayReport: Equatable, Sendable {
    /// The policy in its notation, such as `relay` or `fixed(100)`.
    package var policy: String
    /// Delegations to the LLM that were made, also those that failed then.
    package var calls: Int
    /// Tokens the SLM generated, those of commands included.
    package var slmTokens: Int
    /// Tokens the LLM generated.
    package var llmTokens: Int
    /// Tokens of commands, which are never shown.
    package var commandTokens: Int
    /// What the request cost.
    package var cost: Cost
    /// Why the answer went on without the LLM; nil when it did not.
    package var degraded: String?
    /// Calls that a budget granted fewer tokens than they asked for.
    package var clamped: Int
    /// Malformed commands, which were removed.
    package var malformed: Int
    /// The segments of all choices in the order they ended.
    package var segments: [Segment]

    /// Creates a report.
    package init(
        policy: String, calls: Int = 0, slmTokens: Int = 0, llmTokens: Int = 0, commandTokens: Int = 0,
        cost: Cost = .unknown, degraded: String? = nil, clamped: Int = 0, malformed: Int = 0, segments: [Segment] = []
    ) {
        self.policy = policy
        self.calls = calls
        self.slmTokens = slmTokens
        self.llmTokens = llmTokens
        self.commandTokens = commandTokens
        self.cost = cost
        self.degraded = degraded
        self.clamped = clamped
        self.malformed = malformed
        self.segments = segments
    }

    /// What is known of a cost when the caller gets the answer.
    package enum Cost: Equatable, Sendable {
        /// A decimal number of dollars.
        case dollars(String)
        /// Something of it has no price, which is not free.
        case unpriced
        /// The ledger has not said it yet.
        case unknown
    }

    /// One turn of one model.
    package struct Segment: Equatable, Sendable {
        /// The answer it belongs to, from 0.
        package var choice: Int
        /// `slm` or `llm`.
        package var role: String
        /// The model's name.
        package var model: String
        /// Tokens the command asked for; nil for a turn of the SLM.
        package var requested: Int?
        /// Tokens that were granted; nil for a turn of the SLM.
        package var granted: Int?
        /// Tokens generated, those of a command included.
        package var generatedTokens: Int
        /// Tokens of a command at the end of the turn.
        package var commandTokens: Int
        /// Tokens of the prompt; nil when the server does not say.
        package var promptTokens: Int?
        /// Tokens of the prompt that a prefix cache held; nil when the server does not say.
        package var cachedTokens: Int?
        /// Where the counts come from: `reported`, `counted` or `estimated`.
        package var source: String
        /// How the turn ended.
        package var finish: String
        /// Milliseconds from the call to the first text; nil when none came.
        package var firstTokenMilliseconds: Int?
        /// Milliseconds from the call to its end.
        package var durationMilliseconds: Int

        /// Creates a segment.
        package init(
            choice: Int = 0, role: String, model: String, requested: Int? = nil, granted: Int? = nil,
            generatedTokens: Int, commandTokens: Int = 0, promptTokens: Int? = nil, cachedTokens: Int? = nil,
            source: String, finish: String, firstTokenMilliseconds: Int? = nil, durationMilliseconds: Int
        ) {
            self.choice = choice
            self.role = role
            self.model = model
            self.requested = requested
            self.granted = granted
            self.generatedTokens = generatedTokens
            self.commandTokens = commandTokens
            self.promptTokens = promptTokens
            self.cachedTokens = cachedTokens
            self.source = source
            self.finish = finish
            self.firstTokenMilliseconds = firstTokenMilliseconds
            self.durationMilliseconds = durationMilliseconds
        }
    }
}

extension RelayReport {
    /// Appends the object.
    package func append(to bytes: inout [UInt8]) {
        bytes.append(json: #"{"policy":"#)
        bytes.append(jsonString: policy)
        bytes.append(json: #","calls":"#)
        bytes.append(jsonInteger: calls)
        bytes.append(json: #","slm_tokens":"#)
        bytes.append(jsonInteger: slmTokens)
        bytes.append(json: #","llm_tokens":"#)
        bytes.append(jsonInteger: llmTokens)
        bytes.append(json: #","command_tokens":"#)
        bytes.append(jsonInteger: commandTokens)
        bytes.append(json: #","call_ratio":"#)
        let ratio = CallRatio.millionths(slmTokens: slmTokens, llmTokens: llmTokens)
        bytes.append(contentsOf: (ratio.map { FixedPoint.text(Int128($0), places: 6) } ?? "null").utf8)
        bytes.append(json: #","call_ratio_definition":"llm_tokens/generated_tokens","cost":"#)
        switch cost {
        case .dollars(let text): bytes.append(jsonString: text)
        case .unpriced: bytes.append(jsonString: "unpriced")
        case .unknown: bytes.append(json: "null")
        }
        bytes.append(json: #","degraded":"#)
        bytes.append(jsonString: degraded)
        bytes.append(json: #","clamped":"#)
        bytes.append(jsonInteger: clamped)
        bytes.append(json: #","malformed":"#)
        bytes.append(jsonInteger: malformed)
        bytes.append(json: #","segments":["#)
        for (position, segment) in segments.enumerated() {
            if position > 0 { bytes.append(json: ",") }
            segment.append(to: &bytes)
        }
        bytes.append(json: "]}")
    }
}

extension RelayReport.Segment {
    fileprivate func append(to bytes: inout [UInt8]) {
        bytes.append(json: #"{"choice":"#)
        bytes.append(jsonInteger: choice)
        bytes.append(json: #","role":"#)
        bytes.append(jsonString: role)
        bytes.append(json: #","model":"#)
        bytes.append(jsonString: model)
        bytes.append(json: #","requested":"#)
        bytes.append(jsonInteger: requested)
        bytes.append(json: #","granted":"#)
        bytes.append(jsonInteger: granted)
        bytes.append(json: #","generated_tokens":"#)
        bytes.append(jsonInteger: generatedTokens)
        bytes.append(json: #","command_tokens":"#)
        bytes.append(jsonInteger: commandTokens)
        bytes.append(json: #","prompt_tokens":"#)
        bytes.append(jsonInteger: promptTokens)
        bytes.append(json: #","cached_tokens":"#)
        bytes.append(jsonInteger: cachedTokens)
        bytes.append(json: #","source":"#)
        bytes.append(jsonString: source)
        bytes.append(json: #","finish":"#)
        bytes.append(jsonString: finish)
        bytes.append(json: #","first_token_ms":"#)
        bytes.append(jsonInteger: firstTokenMilliseconds)
        bytes.append(json: #","duration_ms":"#)
        bytes.append(jsonInteger: durationMilliseconds)
        bytes.append(json: "}")
    }
}
