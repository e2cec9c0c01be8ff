/// What the driver is to do next, in this order.
package enum RelayAction: Sendable, Equatable {
    /// Send visible text to the client; whole characters only.
    case emit([UInt8], by: Role)
    /// Ask for `wanted` tokens for a call for which the SLM wrote `requested`; answered by `callGranted` or
    /// `callRefused`.
    case reserve(requested: Int, wanted: Int)
    /// Ask for the whole answer of an LLM that writes alone; answered like `reserve`. `wanted` is the caller's limit.
    case reserveAnswer(wanted: Int?)
    /// Start a generation on the view of its role.
    case generate(Generation)
    /// Stop the running transfer; always answered by `generationEnded` (or `generationFailed`).
    case cancelGeneration
    /// The answer is over; no event changes anything any more.
    case finish(RelayOutcome)
}

/// A generation the driver is to start.
package struct Generation: Sendable, Equatable {
    /// The model to ask, and with it the view to send.
    package var role: Role
    /// The limit of tokens, at least 1; `nil` = none of ours.
    package var maxTokens: Int?
    /// Whether the server is to be told to write no command, by whatever means it has (T4).
    package var commandsForbidden: Bool
    /// The stop strings to send.
    package var stop: [[UInt8]]

    /// A generation.
    package init(role: Role, maxTokens: Int?, commandsForbidden: Bool, stop: [[UInt8]]) {
        self.role = role
        self.maxTokens = maxTokens
        self.commandsForbidden = commandsForbidden
        self.stop = stop
    }
}

/// How an answer ended.
package enum RelayOutcome: Sendable, Equatable {
    /// Complete: end of sequence, an end marker or a stop string of the caller.
    case stop
    /// Cut by the caller's `max_tokens` or by a context window.
    case length
    /// Ended by an error.
    case failed(RelayFailure)
    /// The client went away (F4).
    case clientLeft
    /// Ended by the server for another reason, such as `content_filter`.
    case other(String)
}

/// The error that ended an answer.
package enum RelayFailure: Sendable, Equatable {
    /// The SLM failed (F3).
    case slm(GenerationFailure.Reason)
    /// The LLM failed, where a failed call ends the request (F1) or the LLM writes alone.
    case llm(GenerationFailure.Reason)
    /// A call was refused, where that ends the request (F1).
    case refused(RefusalReason)
}
