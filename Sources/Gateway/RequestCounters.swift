internal import Accounting
internal import Synchronization

/// What this process has done, for `GET /metrics`. Counted from every loop.
final class RequestCounters: Sendable {
    private struct Counts {
        var outcomes: [String: Int] = [:]
        var degraded: [String: Int] = [:]
        var calls = 0
        var slmTokens = 0
        var llmTokens = 0
    }

    private let counts = Mutex(Counts())

    func count(_ record: RequestRecord) {
        counts.withLock { counts in
            counts.outcomes[record.outcome.rawValue, default: 0] += 1
            if let reason = record.degraded { counts.degraded[reason, default: 0] += 1 }
            counts.calls += record.calls
            counts.slmTokens &+= record.slmTokens
            counts.llmTokens &+= record.llmTokens
        }
    }

    /// The counters in Prometheus's text format. Outcomes and reasons are closed sets, so the labels are bounded.
    func text() -> [UInt8] {
        let counts = self.counts.withLock { $0 }
        var text = ""
        func metric(_ name: String, _ help: String, _ values: [(labels: String, value: Int)]) {
            text += "# HELP relaygate_\(name) \(help)\n# TYPE relaygate_\(name) counter\n"
            for (labels, value) in values { text += "relaygate_\(name)\(labels) \(value)\n" }
        }
        metric(
            "requests_total", "Admitted requests that are over, by outcome.",
            Outcome.allCases.map { (#"{outcome="\#($0.rawValue)"}"#, counts.outcomes[$0.rawValue] ?? 0) })
        metric(
            "requests_degraded_total", "Requests that went on without the LLM, by reason.",
            counts.degraded.sorted { $0.key < $1.key }.map { (#"{reason="\#($0.key)"}"#, $0.value) })
        metric("calls_total", "Calls of the LLM that were made.", [("", counts.calls)])
        metric(
            "generated_tokens_total", "Tokens generated, by role.",
            [(#"{role="slm"}"#, counts.slmTokens), (#"{role="llm"}"#, counts.llmTokens)])
        return Array(text.utf8)
    }
}
