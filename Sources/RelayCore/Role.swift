/// Which of the two models of a pair wrote a piece of text.
package enum Role: String, Sendable, Equatable, Hashable, CaseIterable {
    /// The small, cheap model that controls the answer.
    case slm
    /// The large, dear model that is called for a stretch of tokens.
    case llm
}

/// Where a number of tokens comes from; an estimate is never mixed up with a count.
package enum CountSource: String, Sendable, Equatable, Hashable, CaseIterable {
    /// The server reported it (`usage`).
    case reported
    /// The gateway counted it from the server's running counts or chunks.
    case counted
    /// The gateway estimated it from the length of the text.
    case estimated
}
