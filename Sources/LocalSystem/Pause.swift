import Glibc

/// Blocking waits for the preparation steps, which run before any request is served.
package enum Pause {
    /// Blocks the calling thread for so many milliseconds.
    package static func milliseconds(_ count: UInt32) {
        usleep(min(count, 60_000) * 1000)
    }
}
