/// What a policy came to for one answer: who writes, and how probable that choice was.
package struct Script: Sendable, Equatable {
    /// Who writes the answer.
    package enum Writer: Sendable, Equatable {
        /// The SLM, with calls of the LLM; `fixedTokens` replaces the n of every command.
        case relay(fixedTokens: Int?)
        /// The SLM alone.
        case slm
        /// The LLM alone.
        case llm
    }

    /// Who writes the answer.
    package var writer: Writer
    /// The probability with which this writer was drawn; `nil` if nothing was drawn.
    package var propensity: Double?

    /// A script; `propensity` is given only for a choice that was drawn.
    package init(writer: Writer, propensity: Double? = nil) {
        self.writer = writer
        self.propensity = propensity
    }

    /// Whether both models write.
    package var isRelay: Bool { !passesCallerStop }

    /// Whether the servers also get the caller's stop strings.
    ///
    /// With both models writing, a stop string may span segments, and a server that strips it would hide what ended
    /// the turn; so only answers of one model pass them on (T5).
    package var passesCallerStop: Bool {
        switch writer {
        case .relay: false
        case .slm, .llm: true
        }
    }
}
