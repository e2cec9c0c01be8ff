import Accounting
import Postgres
import Reactor
import Store
import Synchronization
import TestSupport
import Testing

/// Records that depend on a number and nothing else, so that a test can say what their sums must be.
struct LedgerFixture: Sendable {
    var tenant = UUID7(high: 0x0190_0000_0000_7000, low: 0x8000_0000_0000_0001)
    let key = UUID7(high: 0x0190_0000_0000_7000, low: 0x8000_0000_0000_0002)
    /// 2026-11-23 12:00:00 UTC in microseconds: the date does not matter, being in the middle of a month does.
    let start: Int64 = 1_795_435_200_000_000

    /// Three segments: the SLM writes 10 tokens with a command, the LLM 7 of 9, the SLM 5.
    func record(_ number: Int) -> RequestRecord {
        let started = Timestamp(microseconds: start + Int64(number) * 1000)
        var record = RequestRecord(
            id: UUID7(high: UInt64(started.microseconds / 1000) << 16 | 0x7000, low: 1 << 63 | UInt64(number)),
            tenant: tenant, key: key, model: "relay", policy: "relay", policyVersion: "1", propensity: nil,
            endpoint: "chat", isStream: true, choices: 1, started: started)
        record.finished = Timestamp(microseconds: started.microseconds + 500)
        record.finish = "stop"
        record.calls = 1
        record.promptTokens = 20
        record.slmTokens = 15
        record.llmTokens = 7
        record.commandTokens = 4
        record.visibleTokens = 18
        record.segments = [
            segment(0, "slm", generated: 10, command: 4, prompt: 20, started),
            segment(1, "llm", generated: 7, command: 0, prompt: nil, started),
            segment(2, "slm", generated: 5, command: 0, prompt: 33, started),
        ]
        return record
    }

    private func segment(
        _ sequence: Int, _ role: String, generated: Int, command: Int, prompt: Int?, _ started: Timestamp
    ) -> SegmentRecord {
        SegmentRecord(
            choice: 0, sequence: sequence, attempt: 1, role: role, model: role + "-model", upstream: "u1",
            requested: role == "llm" ? 9 : nil, granted: role == "llm" ? 7 : nil, promptTokens: prompt,
            cachedTokens: prompt.map { $0 / 2 }, generatedTokens: generated, commandTokens: command, source: "reported",
            commandSource: "counted", finish: sequence == 0 ? "call" : "stop", started: started,
            firstTokenMicroseconds: 12, durationMicroseconds: 345, error: nil)
    }
}

/// Counts acknowledgements by kind.
final class Acknowledgements: Sendable {
    private let counts = Mutex<[LedgerResult: Int]>([:])
    func add(_ result: LedgerResult) { counts.withLock { $0[result, default: 0] += 1 } }
    subscript(_ result: LedgerResult) -> Int { counts.withLock { $0[result] ?? 0 } }
}

/// Places where the usage tables and the sums over segments differ, by the invariant I8.
let usageDifference = "SELECT count(*) FROM broken_usage(NULL, NULL)"
