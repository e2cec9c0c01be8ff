/// What the relay of one answer is bound to.
package struct RelayConfiguration: Sendable, Equatable {
    /// What the end of the LLM's text means (T2).
    package enum EndOfSequence: String, Sendable, Equatable, CaseIterable {
        /// The answer is finished (the reference's behaviour, default).
        case finish
        /// The SLM goes on (the paper's text).
        case resume
    }

    /// What a refused or failed call means (F1).
    package enum Refusal: String, Sendable, Equatable, CaseIterable {
        /// The SLM goes on alone, commands forbidden (default).
        case degrade
        /// The request ends with an error.
        case fail
    }

    /// The tags of a command (C1).
    package var tags: CommandTags
    /// The caller's limit of visible tokens over all segments (T5); `nil` = none.
    package var maxTokens: Int?
    /// The caller's stop strings, acting on the client view (T5); empty ones are ignored.
    package var stop: [[UInt8]]
    /// Commands that end a turn; the turn after the last one runs with commands forbidden (T3).
    package var maxCalls: Int
    /// The cap of one call in tokens (C4).
    package var maxCallTokens: Int
    /// Malformed commands after which commands are forbidden (C5); 0 acts like 1.
    package var maxMalformed: Int
    /// What the end of the LLM's text means (T2).
    package var onLLMEndOfSequence: EndOfSequence
    /// What a refused or failed call means (F1).
    package var onRefusal: Refusal
    /// Strings that end the SLM's answer when it writes them; they are part of no view.
    package var slmEndMarkers: [[UInt8]]

    /// A configuration; every default is the one of the relay's rules.
    package init(
        tags: CommandTags = CommandTags(),
        maxTokens: Int? = nil,
        stop: [[UInt8]] = [],
        maxCalls: Int = 4,
        maxCallTokens: Int = 512,
        maxMalformed: Int = 3,
        onLLMEndOfSequence: EndOfSequence = .finish,
        onRefusal: Refusal = .degrade,
        slmEndMarkers: [[UInt8]] = []
    ) {
        self.tags = tags
        self.maxTokens = maxTokens
        self.stop = stop
        self.maxCalls = maxCalls
        self.maxCallTokens = maxCallTokens
        self.maxMalformed = maxMalformed
        self.onLLMEndOfSequence = onLLMEndOfSequence
        self.onRefusal = onRefusal
        self.slmEndMarkers = slmEndMarkers
    }
}
