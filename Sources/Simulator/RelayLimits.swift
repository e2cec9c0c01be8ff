/// The limits under which the relay of a trace ran. A trace does not hold them; bounds on what might have happened
/// after a change need them.
package struct RelayLimits: Sendable, Equatable {
    /// Commands that end a turn (`max_calls`).
    package var calls: Int
    /// The cap of one call in tokens (`max_call_tokens`).
    package var callTokens: Int
    /// Malformed commands after which commands are forbidden (`max_malformed`).
    package var malformed: Int
    /// The largest `max_tokens` of the callers, in visible tokens; nil when callers may leave it out.
    package var answerTokens: Int?

    /// Whether budgets that refuse a call rather than clamp it may have stood over the trace.
    package var budgetsRefuse: Bool

    package init(
        calls: Int = 4, callTokens: Int = 512, malformed: Int = 3, answerTokens: Int? = nil,
        budgetsRefuse: Bool = false
    ) {
        self.calls = calls
        self.callTokens = callTokens
        self.malformed = malformed
        self.answerTokens = answerTokens
        self.budgetsRefuse = budgetsRefuse
    }
}
