/// A lease as its gateway knows it: tokens of one budget and one window that nobody else can spend.
///
/// `granted` is the sum of all the other counts, always: a token is in one place.
package struct Lease: Sendable, Equatable {
    /// What was asked of the database and has no answer yet. One at a time: the sequence numbers are the lease's
    /// history.
    package enum Operation: Sendable, Equatable {
        /// `asks` are those whose needs are in it.
        case grant(needs: [Int], spare: Int, asks: [UInt64])
        case giveBack(tokens: Int, closes: Bool)
    }

    package let id: UUID7
    /// Whether its calls have intents.
    package let mode: HoldingMode
    /// Tokens that the database gave, and those that were used beyond what it gave.
    package internal(set) var granted = 0
    /// Free to be reserved.
    package internal(set) var available = 0
    /// Held by reservations.
    package internal(set) var reserved = 0
    /// Used, as far as reservations that have ended tell.
    package internal(set) var spent = 0
    /// Held by reservations that were dropped: whether they were used nobody knows.
    package internal(set) var lost = 0
    /// Given back, or on the way back.
    package internal(set) var returned = 0
    /// The part of `spent` that the ledger has not confirmed.
    package internal(set) var unconfirmed = 0
    /// The number of the next operation, or of the one that is pending.
    package internal(set) var sequence = 0
    package internal(set) var operation: Operation?
    /// When the operation may be sent again, after a failure; nil while its answer is awaited.
    package internal(set) var retryAt: Int64?
    package internal(set) var failures = 0
    /// The end of its window on the gateway's clock.
    package internal(set) var endsAt = Int64.max
    /// Nothing more may be reserved from it.
    package internal(set) var isEnding = false

    init(id: UUID7, mode: HoldingMode) {
        self.id = id
        self.mode = mode
    }

    /// Whether the book's counts agree with each other.
    package var isBalanced: Bool {
        granted == available + reserved + spent + lost + returned && unconfirmed <= spent
            && min(available, reserved, spent, lost, returned, unconfirmed) >= 0
    }

    /// Its operation has a definite answer.
    mutating func answered() {
        operation = nil
        sequence += 1
        failures = 0
    }

    /// Whether all that is left to do is to close it.
    var canClose: Bool { reserved == 0 && unconfirmed == 0 }
}
