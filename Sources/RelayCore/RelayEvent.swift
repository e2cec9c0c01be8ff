/// What happened, told to the relay machine by its driver.
package enum RelayEvent: Sendable, Equatable {
    /// The request was admitted; the first event.
    case begin
    /// The next text of the running generation, possibly empty.
    ///
    /// `generated` is the server's running count of generated tokens including this chunk, where it tells one.
    case text([UInt8], generated: Int?)
    /// The running generation ended; also the answer to every `cancelGeneration`.
    case generationEnded(GenerationEnd)
    /// The running generation failed after its retries and failovers (F2, F3, T6).
    case generationFailed(GenerationFailure)
    /// The answer to `reserve`: so many tokens may be used; 0 is the same as `callRefused(.limit)`. The answer to
    /// `reserveAnswer`, which is never cut: the LLM may write.
    case callGranted(tokens: Int)
    /// The answer to `reserve` and `reserveAnswer`: no call.
    case callRefused(RefusalReason)
    /// The client went away (F4).
    case clientLeft
}

/// Why a call was not made or not completed (T1, F1).
package enum RefusalReason: String, Sendable, Equatable, Hashable, CaseIterable {
    /// A budget or a lease has no tokens left.
    case budget
    /// Nobody can say whether a budget has tokens left: the database does not answer.
    case unavailable
    /// Another limit of the gateway, such as the cap per call or the calls at a time.
    case limit
    /// The circuit breaker of the LLM is open.
    case breaker
    /// The prompt does not fit the LLM's context window.
    case contextWindow = "context_window"
    /// The caller's `max_tokens` is used up.
    case maxTokens = "max_tokens"
    /// The LLM failed after its retries.
    case upstream
}

/// How a generation ended, as its server told it.
package struct GenerationEnd: Sendable, Equatable {
    /// The server's finish reason.
    package enum Finish: Sendable, Equatable {
        /// End of sequence or a stop string.
        case stop
        /// The limit of tokens, or a full context window.
        case length
        /// The driver stopped the transfer.
        case cancelled
        /// Anything else the server says, such as `content_filter`.
        case other(String)
    }

    /// The server's finish reason.
    package var finish: Finish
    /// The stop string that matched, where the server names it (vLLM's `stop_reason`).
    package var stopReason: [UInt8]?
    /// Tokens generated in this generation; commands, stop strings and dropped text are in it.
    package var generatedTokens: Int
    /// Where `generatedTokens` comes from.
    package var source: CountSource

    /// The end of a generation.
    package init(_ finish: Finish, stopReason: [UInt8]? = nil, generatedTokens: Int, source: CountSource) {
        self.finish = finish
        self.stopReason = stopReason
        self.generatedTokens = generatedTokens
        self.source = source
    }
}

/// How a generation failed.
package struct GenerationFailure: Sendable, Equatable {
    /// What went wrong.
    package enum Reason: String, Sendable, Equatable, CaseIterable {
        /// The server refused, broke off or could not be reached.
        case upstream
        /// The prompt no longer fits the model's window (T6).
        case contextExceeded
        /// The server did not answer in time.
        case timeout
    }

    /// What went wrong.
    package var reason: Reason
    /// Tokens generated before the failure; they are charged (F2).
    package var generatedTokens: Int
    /// Where `generatedTokens` comes from.
    package var source: CountSource

    /// A failure.
    package init(_ reason: Reason, generatedTokens: Int, source: CountSource) {
        self.reason = reason
        self.generatedTokens = generatedTokens
        self.source = source
    }
}
