internal import Failpoints
internal import RelayCore

/// What an attempt at the LLM is charged: what it is known to have used, and what nobody can prove unspent.
///
/// The order of trust: the server's final count, its running count, its own tokenizer's, and in the end the whole
/// reservation. A count is only trusted inside what can be true: no less than the pieces that came; no more than was
/// asked for or, where a server does not keep to that, than the bytes that came. `Docs/budgets.md` says what that
/// cannot find out.
struct ChargeRule {
    /// How the attempt ended, as far as the charge is concerned.
    enum Ending: Equatable {
        /// No byte of the request can have reached the server, or it refused the request before it did any work.
        case unused
        /// The server ended it and said so.
        case finished
        /// It was cut: by the caller, by a failure, by time. What the server did after that is not known.
        case cut
    }

    /// What can be said of a prompt's tokens before it is sent.
    struct PromptBound: Equatable {
        /// Reserved: what the server's own tokenizer counted, or the limit.
        var reserved = 0
        /// No honest count is beyond it: the bytes.
        var limit = 0
    }

    var ending: Ending
    /// Tokens that were asked for, which is what was reserved.
    var reserved: Int
    /// The server's final count; nil when it gave none. Anything can stand here.
    var reported: Int?
    /// The server's last running count, likewise.
    var running: Int?
    /// Pieces of text that came, each of one token or more.
    var pieces: Int
    /// Bytes of everything that came: no server can have generated more tokens than that, unless it shows none.
    var bytes: Int
    /// Prompt tokens as the server counted them, and what was known of them before.
    var reportedPrompt: Int?
    var promptBound: PromptBound

    /// Servers were seen to count one token more than they were asked for.
    static let slack = 1

    /// Generated tokens to charge, and where the number comes from.
    var generated: (tokens: Int, source: CountSource) {
        if Canary.is(.chargeReported), let reported { return (max(0, reported), .reported) }
        switch ending {
        case .unused: return (0, .reported)
        case .finished:
            if let reported, isPossible(reported) { return (reported, .reported) }
            if let running, isPossible(running) { return (running, .counted) }
            return (max(reserved, pieces), .estimated)
        case .cut:
            let counted = [reported, running].compactMap(\.self).filter(isPossible).max() ?? 0
            return (max(reserved, pieces, counted), .estimated)
        }
    }

    /// Prompt tokens to charge, where a budget counts them.
    var prompt: Int {
        if ending == .unused { return 0 }
        guard let reportedPrompt, reportedPrompt > 0, reportedPrompt <= promptBound.limit else {
            return promptBound.reserved
        }
        return reportedPrompt
    }

    private func isPossible(_ count: Int) -> Bool {
        let (asked, overflow) = reserved.addingReportingOverflow(ChargeRule.slack)
        return count >= pieces && (overflow || count <= max(asked, bytes))
    }
}
