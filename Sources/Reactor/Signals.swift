internal import CLinux
internal import Glibc

/// Signals as events of a loop. Blocked in every thread that is started after `block`, so only the loop sees them.
package final class Signals {
    private let descriptor: FileDescriptor
    private var registration: Registration?

    /// Blocks `signals` in the calling thread and in those it starts, and ignores SIGPIPE for the whole process. Call
    /// it before any thread exists.
    package static func block(_ signals: [Int32]) {
        var set = mask(signals)
        unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
        signal(SIGPIPE, SIG_IGN)
    }

    /// Calls `handler` on the loop for each of `signals` that arrives. *Loop thread.*
    package init(_ signals: [Int32], on loop: EventLoop, _ handler: @escaping (Int32) -> Void) throws(SystemError) {
        var set = Signals.mask(signals)
        descriptor = FileDescriptor(
            owning: try systemCall("signalfd") { unsafe rg_signalfd(&set) })
        let fd = descriptor.raw
        registration = try loop.register(fd, .read) { _ in
            var info = signalfd_siginfo()
            while unsafe read(fd, &info, MemoryLayout<signalfd_siginfo>.size) == MemoryLayout<signalfd_siginfo>.size {
                handler(Int32(info.ssi_signo))
            }
        }
    }

    deinit { registration?.cancel() }

    private static func mask(_ signals: [Int32]) -> sigset_t {
        var set = sigset_t()
        unsafe sigemptyset(&set)
        for signal in signals { unsafe sigaddset(&set, signal) }
        return set
    }
}
