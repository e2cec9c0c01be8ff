#if Faults
    import Glibc
    import Synchronization

    /// The failpoint that `RELAYGATE_FAILPOINT` arms, with the visits that are left.
    final class ArmedFailpoint: Sendable {
        static let shared = FaultEnvironment.named("RELAYGATE_FAILPOINT").map(ArmedFailpoint.init)

        private let point: Failpoint
        private let remaining: Atomic<Int>

        /// Reads `name:count`; a misspelt one must not look like a test that passed.
        init(_ text: String) {
            let parts = text.split(separator: ":", maxSplits: 1)
            guard parts.count == 2, let point = Failpoint(rawValue: String(parts[0])), let count = Int(parts[1]),
                count > 0
            else { fatalError("RELAYGATE_FAILPOINT is not name:count: \(text)") }
            self.point = point
            remaining = Atomic(count)
        }

        func visit(_ point: Failpoint) {
            guard point == self.point else { return }
            // SIGKILL runs no handler and flushes nothing: the nearest thing to a machine that lost its power.
            if remaining.subtract(1, ordering: .sequentiallyConsistent).newValue == 0 { kill(getpid(), SIGKILL) }
        }
    }
#endif
