internal import Arguments
internal import Glibc
internal import Reactor
internal import Synchronization

/// SIGTERM and SIGINT for a command that starts things and then serves.
///
/// Before `wait` the first signal ends the process at once: what it has started ends with it. In `wait` the first one
/// returns, and a second one ends the process.
final class StopSignal: Sendable {
    private let serving = Atomic<Bool>(false)
    private let arrived = Semaphore()

    /// Call it before any thread exists, so that all of them leave the signals to this one.
    static func install() throws(CommandExit) -> StopSignal {
        Signals.block([SIGTERM, SIGINT])
        let stop = StopSignal()
        do throws(SystemError) {
            _ = try LoopThread.start(name: "signals") { loop in
                try? Signals([SIGTERM, SIGINT], on: loop) { stop.received($0) }
            }
        } catch {
            throw .failure("cannot wait for signals: \(error)")
        }
        return stop
    }

    private func received(_ signal: Int32) {
        // Only the first one finds it true.
        if serving.exchange(false, ordering: .acquiringAndReleasing) { return arrived.signal() }
        _exit(128 + signal)
    }

    /// Returns at the first signal.
    func wait() {
        serving.store(true, ordering: .releasing)
        arrived.wait()
    }

    /// Whether a command is in `wait`.
    var isServing: Bool { serving.load(ordering: .acquiring) }
}
