import Accounting
import Foundation
import Simulator
import Synchronization
import Traces

// Replays a trace under a scenario of ten policies: `simulation-benchmark FILE THREADS [TIMES]`, the file read TIMES
// times over. Prints a line of JSON: requests, seconds of the replay and of the report, peak memory, sums to compare
// with, and a digest of the whole result.

let arguments = CommandLine.arguments
guard arguments.count >= 3, let threads = Int(arguments[2]), threads > 0,
    let times = Int(arguments.count > 3 ? arguments[3] : "1"), let file = FileHandle(forReadingAtPath: arguments[1])
else {
    FileHandle.standardError.write(Data("usage: simulation-benchmark FILE THREADS [TIMES]\n".utf8))
    exit(64)
}

var scenario = Scenario(title: "benchmark")
let policies: [Counterfactual] = [
    .asLogged, .slmOnly, .llmOnly, .randomRouter(share: 0.5), .randomRouterAtCost(.llmTokens), .randomRouterAtAccuracy,
    .capTokensPerCall(32), .capCalls(2), .capTokensPerRequest(100), .fixedLength(100),
]
scenario.policies = policies.enumerated().map { PolicyEntry(name: "policy-\($0.offset)", counterfactual: $0.element) }
let start = Timestamp(microseconds: 0)
scenario.costModels = [
    CostModel(
        name: "list prices",
        basis: .prices(
            [
                ModelPrice(
                    model: "slm", from: start, input: 100_000, cachedInput: nil, cacheWrite: nil, output: 400_000,
                    request: 0),
                ModelPrice(
                    model: "llm", from: start, input: 2_500_000, cachedInput: 1_250_000, cacheWrite: nil,
                    output: 10_000_000, request: 0),
            ], .rule(CacheRule(minimum: 0, step: 16, timeToLiveMilliseconds: nil)))),
    CostModel(name: "generated", basis: .generatedTokens), CostModel(name: "billed", basis: .billedTokens),
]
scenario.relay = RelayLimits(calls: 4, callTokens: 8192, malformed: 3, answerTokens: 8192)
scenario.groupBy = "benchmark"
scenario.cluster = .tag("question")

final class Rounds: @unchecked Sendable {
    let file: FileHandle
    let left: Mutex<Int>

    init(_ file: FileHandle, times: Int) {
        self.file = file
        left = Mutex(times)
    }

    func next() throws -> [UInt8]? {
        while true {
            if let data = try file.read(upToCount: 1 << 20), !data.isEmpty { return [UInt8](data) }
            let isOver = left.withLock { left in
                left -= 1
                return left < 1
            }
            if isOver { return nil }
            try file.seek(toOffset: 0)
        }
    }
}

/// Bytes as long as memory is at its largest.
func peakMemory() -> Int {
    let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
    let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM") } ?? ""
    return (Int(line.split(whereSeparator: { !$0.isNumber }).first ?? "0") ?? 0) * 1024
}

/// Seconds of all threads on a processor: what is left to compare when a machine is shared.
func processorSeconds() -> Double {
    var usage = rusage()
    getrusage(RUSAGE_SELF.rawValue, &usage)
    func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
    return seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

do {
    let rounds = Rounds(file, times: times)
    let replay = try ParallelReplay(try TraceSimulation(scenario), next: { try rounds.next() })
    let clock = ContinuousClock()
    let began = clock.now
    DispatchQueue.concurrentPerform(iterations: threads) { _ in replay.work() }
    let result = try replay.result()
    let replayed = clock.now - began
    let bytes = result.encode()
    let report = result.report()
    let whole = clock.now - began
    var cells: [String] = []
    let names = ["llm_tokens", "slm_tokens", "calls"]
    let table = report.sections.first { $0.name == "policies" }?.table
    for row in table?.rows ?? [] {
        for (column, cell) in zip(table?.columns ?? [], row) where names.contains(column.name) {
            guard case .finding(let finding) = cell else { continue }
            cells.append("\"\(finding.knowledge)\"")
        }
    }
    func seconds(_ duration: Duration) -> Double {
        Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18
    }
    print(
        "{\"requests\": \"\(report.coverage.first?.value ?? "")\", \"replay_s\": \(seconds(replayed)), "
            + "\"total_s\": \(seconds(whole)), \"cpu_s\": \(processorSeconds()), \"peak_bytes\": \(peakMemory()), "
            + "\"digest\": \"\(SHA256.hexadecimal(SHA256.digest(bytes)))\", \"cells\": [\(cells.joined(separator: ","))]}"
    )
} catch {
    FileHandle.standardError.write(Data("error: \(error)\n".utf8))
    exit(1)
}
