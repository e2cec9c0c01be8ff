import Accounting
import Foundation
import Synchronization
import Testing

/// Random histories of gateways, budgets and faults; `Docs/budgets.md` says what must hold in each.
@Suite struct LeaseSimulationTests {
    /// The seed of this run, or that of `RELAY_SEED` to repeat one.
    static let seed: UInt64 = number("RELAY_SEED").map(UInt64.init) ?? UInt64.random(in: 0..<1_000_000_000)
    static let histories = number("RELAY_HISTORIES") ?? 100_000

    private static func number(_ name: String) -> Int? { ProcessInfo.processInfo.environment[name].flatMap { Int($0) } }

    /// What one of the tasks has found.
    private struct Findings: Sendable {
        /// In how many histories each event was met.
        var seen = LeaseSimulation.Event.allCases.map { _ in 0 }
        var broken: [(seed: UInt64, failure: String)] = []
        /// Histories with a refusal that need not have been.
        var needless: [UInt64] = []
    }

    @Test func `no history spends more than it may, loses a token or forgets an ask`() async {
        print("RELAY_SEED=\(Self.seed) RELAY_HISTORIES=\(Self.histories)")
        let started = ContinuousClock.now
        let findings = await Self.playAll()
        print("\(Self.histories) histories in \(ContinuousClock.now - started)")
        for event in LeaseSimulation.Event.allCases {
            let count = findings.seen[event.rawValue]
            print("  \(count) with \(event)")
            // A few histories need not meet everything.
            if Self.histories >= 10_000 { #expect(count > 0, "no history with \(event)") }
        }
        // One of each kind; numbers make no kind.
        let kinds = Dictionary(grouping: findings.broken) { $0.failure.filter { !$0.isNumber }.prefix(60) }
        for (_, broken) in kinds.sorted(by: { $0.value.count > $1.value.count }).prefix(5) {
            guard let seed = broken.map(\.seed).min() else { continue }
            var transcript = ""
            let failure = LeaseSimulation(seed: seed) { transcript += "\n" + $0 }.play() ?? "nothing, this time"
            Issue.record("\(broken.count) like RELAY_SEED=\(seed) RELAY_HISTORIES=1: \(failure)\(transcript)")
        }
        #expect(findings.broken.isEmpty)
        // What an empty budget has said is believed for a quarter of a second, and asks of several budgets can take
        // each other's tokens while they wait. Refusing is always safe, so it may happen, but not often.
        print("  \(findings.needless.count) with a needless refusal: \(findings.needless.prefix(5))")
        #expect(findings.needless.count <= max(1, Self.histories / 400))
    }

    /// On two cores, each history with a seed of its own.
    private static func playAll() async -> Findings {
        await withTaskGroup(of: Findings.self) { group in
            for worker in 0..<2 { group.addTask { @concurrent in await play(worker) } }
            var all = Findings()
            for await findings in group {
                for (index, count) in findings.seen.enumerated() { all.seen[index] += count }
                all.broken += findings.broken
                all.needless += findings.needless
            }
            return all
        }
    }

    private static func play(_ worker: Int) async -> Findings {
        var findings = Findings()
        for history in stride(from: worker, to: histories, by: 2) {
            // Other tests run on the same threads.
            if history % 50 < 2 { await Task.yield() }
            let seed = seed &+ UInt64(history)
            RunningSeeds.begin(seed, worker)
            // One history that is repeated is told while it is played: a precondition may end it.
            let listener: ((String) -> Void)? =
                histories == 1 ? { FileHandle.standardError.write(Data(($0 + "\n").utf8)) } : nil
            let simulation = LeaseSimulation(seed: seed, listener: listener)
            if let failure = simulation.play() { findings.broken.append((seed, failure)) }
            if simulation.needlessRefusals > 0 { findings.needless.append(seed) }
            for (index, count) in simulation.seen.enumerated() where count > 0 { findings.seen[index] += 1 }
        }
        RunningSeeds.end(worker)
        return findings
    }
}

/// A precondition that fails ends the process: a signal handler then says which histories were being played.
private enum RunningSeeds {
    private static let first = Atomic<UInt64>(0)
    private static let second = Atomic<UInt64>(0)

    private static let handler: Void = {
        for number in [SIGILL, SIGTRAP, SIGABRT] {
            signal(number) { number in
                RunningSeeds.tell(RunningSeeds.first.load(ordering: .relaxed))
                RunningSeeds.tell(RunningSeeds.second.load(ordering: .relaxed))
                signal(number, SIG_DFL)
                raise(number)
            }
        }
    }()

    static func begin(_ seed: UInt64, _ worker: Int) {
        _ = handler
        (worker == 0 ? first.store(seed, ordering: .relaxed) : second.store(seed, ordering: .relaxed))
    }

    static func end(_ worker: Int) { begin(0, worker) }

    /// Writes without any memory of the heap: a handler may not wait for it.
    private static func tell(_ seed: UInt64) {
        guard seed > 0 else { return }
        var text: (StaticString) = "trapped while playing RELAY_HISTORIES=1 RELAY_SEED="
        write(2, text.utf8Start, text.utf8CodeUnitCount)
        var divisor: UInt64 = 10_000_000_000_000_000_000
        while divisor > 1, seed / divisor == 0 { divisor /= 10 }
        while divisor > 0 {
            var digit = UInt8(48 + seed / divisor % 10)
            write(2, &digit, 1)
            divisor /= 10
        }
        text = "\n"
        write(2, text.utf8Start, text.utf8CodeUnitCount)
    }
}
