/// One ended generation or one refused call, as the ledger records it.
package struct Segment: Sendable, Equatable {
    /// How a segment ended.
    package enum Finish: Sendable, Equatable {
        /// The SLM wrote a command with this n (saturated); it was served, refused, or n was 0.
        case call(Int)
        /// The SLM's turn ended at a malformed command (C5).
        case malformed
        /// The SLM wrote a valid command with this n although commands were forbidden (T4).
        case forbidden(Int)
        /// End of sequence, an end marker or a stop string of the caller.
        case stop
        /// The limit of tokens.
        case length
        /// The client left, or the driver cut the generation.
        case cancelled
        /// The call was not made.
        case refused(RefusalReason)
        /// The generation failed.
        case failed
        /// What else the server said.
        case other(String)
    }

    /// Who wrote it.
    package var role: Role
    /// The n of the command that this LLM segment serves; `nil` for SLM segments and for the LLM alone.
    package var requested: Int?
    /// The tokens granted to this LLM segment, 0 if refused; `nil` for SLM segments and for the LLM alone.
    package var granted: Int?
    /// Tokens the model generated.
    package var generatedTokens: Int
    /// Where `generatedTokens` comes from.
    package var source: CountSource
    /// Tokens of `generatedTokens` that went into commands and into text dropped after them.
    package var commandTokens: Int
    /// Where `commandTokens` comes from.
    package var commandSource: CountSource
    /// How it ended.
    package var finish: Finish
    /// Bytes this segment added to the client view.
    package var visibleBytes: Int

    /// Tokens of this segment that count as visible (T5).
    package var visibleTokens: Int { max(0, generatedTokens - commandTokens) }

    /// A segment.
    package init(
        role: Role,
        requested: Int? = nil,
        granted: Int? = nil,
        generatedTokens: Int,
        source: CountSource,
        commandTokens: Int = 0,
        commandSource: CountSource = .counted,
        finish: Finish,
        visibleBytes: Int
    ) {
        self.role = role
        self.requested = requested
        self.granted = granted
        self.generatedTokens = generatedTokens
        self.source = source
        self.commandTokens = commandTokens
        self.commandSource = commandSource
        self.finish = finish
        self.visibleBytes = visibleBytes
    }
}
