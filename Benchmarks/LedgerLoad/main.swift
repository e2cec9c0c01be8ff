import Accounting
import Foundation
import Store
import Synchronization

// Fills a ledger through the product's own write path: `ledger-load URL REQUESTS [FIRST [DAYS]]` writes that many
// requests of three segments each and prints how long it took until all of them were durable. Requests 0 to the last
// one written are spread evenly over DAYS, by default 30, that begin thirty days ago.
// The same arguments write the same rows: tenants, keys and everything else depend on a request's number alone.

let arguments = CommandLine.arguments
guard arguments.count >= 3, let total = Int(arguments[2]), let first = Int(arguments.count > 3 ? arguments[3] : "0")
else {
    FileHandle.standardError.write(Data("usage: ledger-load URL REQUESTS [FIRST [DAYS]]\n".utf8))
    exit(64)
}

/// SplitMix64 of a number: spread evenly, and the same every time.
func mixed(_ number: Int, _ salt: UInt64) -> UInt64 {
    var value = UInt64(truncatingIfNeeded: number) &* 0x9E37_79B9_7F4A_7C15 &+ salt
    value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
    return value ^ (value >> 31)
}

func below(_ limit: Int, _ number: Int, _ salt: UInt64) -> Int { Int(mixed(number, salt) % UInt64(limit)) }

func id(_ kind: UInt64, _ number: Int) -> UUID7 {
    UUID7(high: 0x0190_0000_0000_7000, low: 1 << 63 | kind << 32 | UInt64(number))
}

let tenants = 40
let days = Int64(arguments.count > 4 ? arguments[4] : "") ?? 30
let start: Int64 = Int64(Date().timeIntervalSince1970) / 86_400 * 86_400_000_000 - 30 * 86_400_000_000

/// Few tenants make most of the traffic: the square of an even draw.
func record(_ number: Int) -> RequestRecord {
    let draw = Double(below(1_000_000, number, 1)) / 1_000_000
    let tenant = Int(draw * draw * Double(tenants))
    let started = Timestamp(microseconds: start + Int64(number) * (days * 86_400_000_000 / Int64(first + total)))
    let model = tenant % 2 == 0 || below(3, number, 2) > 0 ? "relay" : "fixed"
    var record = RequestRecord(
        id: UUID7(
            high: UInt64(started.microseconds / 1000) << 16 | 0x7000 | UInt64(number & 0xFFF),
            low: 1 << 63 | UInt64(number)),
        tenant: id(1, tenant), key: id(2, tenant * 8 + below(2, number, 3)), model: model,
        policy: model == "fixed" ? "fixed(100)" : "relay", policyVersion: "1", propensity: nil, endpoint: "chat",
        isStream: true, choices: 1, started: started)
    let (prompt, slm, llm) = (100 + below(900, number, 4), 60 + below(300, number, 5), below(120, number, 6))
    let duration = Int64(200_000 + below(3_000_000, number, 7))
    record.finished = Timestamp(microseconds: started.microseconds + duration)
    record.finish = "stop"
    record.calls = 1
    record.degraded = below(50, number, 8) == 0 ? "budget" : nil
    record.promptTokens = prompt
    record.slmTokens = slm + 20
    record.llmTokens = llm
    record.commandTokens = 8
    record.visibleTokens = slm + llm + 12
    // One tenant in four tells its teams apart.
    if tenant % 4 == 3 { record.tags = [RequestTag(key: "team", value: "team-\(below(4, number, 9))")] }
    func segment(_ sequence: Int, _ role: String, _ generated: Int, _ command: Int, _ prompt: Int) -> SegmentRecord {
        SegmentRecord(
            choice: 0, sequence: sequence, attempt: 1, role: role, model: role == "slm" ? "small-1.7b" : "large-8b",
            upstream: role + "-\(below(2, number, 10))", requested: role == "llm" ? 100 : nil,
            granted: role == "llm" ? 100 : nil, promptTokens: prompt, cachedTokens: prompt / 3,
            generatedTokens: generated, commandTokens: command, source: "reported", commandSource: "counted",
            finish: "stop", started: Timestamp(microseconds: started.microseconds + Int64(sequence) * duration / 4),
            firstTokenMicroseconds: 40_000, durationMicroseconds: duration / 4, error: nil)
    }
    record.segments = [
        segment(0, "slm", slm, 8, prompt), segment(1, "llm", llm, 0, prompt + slm),
        segment(2, "slm", 20, 0, prompt + slm + llm),
    ]
    return record
}

let writer = try LedgerWriter.start(LedgerConfiguration(connection: arguments[1]))
let acknowledged = Atomic<Int>(0)
let clock = ContinuousClock()
let began = clock.now
for number in first..<(first + total) {
    // What a gateway does when its ledger cannot keep up: it admits nothing more.
    while writer.isFull { usleep(500) }
    writer.append(record(number)) { result in
        if result == .committed { acknowledged.wrappingAdd(1, ordering: .relaxed) }
    }
}
guard await writer.flush(within: .seconds(600)), acknowledged.load(ordering: .relaxed) == total else {
    FileHandle.standardError.write(Data("not everything is durable: \(writer.statistics)\n".utf8))
    exit(1)
}
let seconds = Double((clock.now - began) / .milliseconds(1)) / 1000
let statistics = writer.statistics
writer.stop()
print(
    #"{"requests":\#(total),"segments":\#(statistics.segments),"seconds":\#(seconds),"batches":\#(statistics.batches),"#
        + #""dead_letters":\#(statistics.deadLetters)}"#)
