import Glibc
import Synchronization

/// A child process whose standard input is a pipe that this process holds open and never writes to.
///
/// The end of that pipe tells the child that this process is gone. Foundation's `Process` is not used: it hands every
/// child a socket of its own and waits for that to close, so it hangs when the child leaves a daemon behind, as
/// `pg_ctl start` does. The child gets a process group of its own: an interrupt typed at the terminal reaches this
/// process only, which then ends its children in order.
package final class ChildProcess: Sendable {
    /// Where standard output and standard error of the child go.
    package enum Output: Sendable {
        case discard
        /// An open descriptor of ours; it stays open here.
        case descriptor(Int32)
    }

    private struct State {
        /// The exit status; 128 plus the signal when a signal ended it. Nil while it runs.
        var status: Int32?
        var lifeline: Int32
    }

    /// The child's process id. Once the child has ended and was looked at, it may belong to another process.
    package let processID: Int32
    private let state: Mutex<State>

    private static let spawning = Mutex<Void>(())

    /// Starts a program in the directory `/`, with all signals at their defaults.
    ///
    /// - Throws: `commandNotFound` when it cannot be started.
    package init(
        _ executable: String, _ arguments: [String], environment: [String: String], output: Output
    ) throws(LocalSystemError) {
        guard Command.isExecutableFile(executable) else {
            throw LocalSystemError(.commandNotFound, "\(executable) is not a program that can be run")
        }
        let (read, write) = try Self.pipe()
        defer { _ = close(read) }
        let pairs = environment.map { "\($0.key)=\($0.value)" }
        // A shell goes to `/` first: the user it runs as may not be able to enter the directory we are in.
        let words = ["sh", "-c", "cd / && exec \"$0\" \"$@\"", executable] + arguments
        let (result, child) = Self.spawning.withLock { _ in
            Self.spawn("/bin/sh", words, pairs, input: read, output: output)
        }
        guard result == 0 else {
            _ = close(write)
            throw LocalSystemError(.commandNotFound, "cannot start \(executable): \(SystemText.error(result))")
        }
        processID = child
        state = Mutex(State(status: nil, lifeline: write))
    }

    /// The exit status if the child has ended, nil while it runs. Never blocks.
    package var status: Int32? {
        state.withLock { state in
            if state.status == nil {
                var raw: Int32 = 0
                let answer = unsafe waitpid(processID, &raw, WNOHANG)
                if answer == processID { state.status = Self.exitStatus(raw) }
                // Somebody else has reaped it; how it ended is lost.
                if answer < 0, errno == ECHILD { state.status = 255 }
            }
            return state.status
        }
    }

    package var isRunning: Bool { status == nil }

    /// Blocks until the child has ended.
    package func wait() -> Int32 {
        while true {
            if let status { return status }
            Pause.milliseconds(5)
        }
    }

    /// Sends a signal if the child still runs. A child that was not reaped keeps its id, so no stranger is hit.
    package func signal(_ number: Int32) {
        state.withLock { state in
            if state.status == nil { _ = kill(processID, number) }
        }
    }

    /// Closes our end of the child's standard input.
    package func closeInput() {
        state.withLock { state in
            if state.lifeline >= 0 { _ = close(state.lifeline) }
            state.lifeline = -1
        }
    }

    deinit { closeInput() }

    /// A pipe whose ends are not inherited by other children: (read, write).
    package static func pipe() throws(LocalSystemError) -> (read: Int32, write: Int32) {
        var ends: [Int32] = [-1, -1]
        // pipe2 is not visible here, so the ends are inheritable for a moment; no child is started meanwhile.
        let result = spawning.withLock { _ in
            guard unsafe Glibc.pipe(&ends) == 0 else { return errno }
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
            return 0
        }
        guard result == 0 else {
            throw LocalSystemError(.fileFailed, "cannot make a pipe: \(SystemText.error(result))")
        }
        return (ends[0], ends[1])
    }

    private static func exitStatus(_ raw: Int32) -> Int32 {
        let signal = raw & 0x7F
        return signal == 0 ? (raw >> 8) & 0xFF : 128 + signal
    }

    private static func spawn(
        _ executable: String, _ arguments: [String], _ environment: [String], input: Int32, output: Output
    ) -> (result: Int32, child: Int32) {
        var actions = unsafe posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        unsafe posix_spawn_file_actions_init(&actions)
        unsafe posix_spawnattr_init(&attributes)
        defer {
            unsafe posix_spawn_file_actions_destroy(&actions)
            unsafe posix_spawnattr_destroy(&attributes)
        }
        unsafe posix_spawn_file_actions_adddup2(&actions, input, 0)
        switch output {
        case .discard:
            unsafe posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        case .descriptor(let descriptor):
            unsafe posix_spawn_file_actions_adddup2(&actions, descriptor, 1)
        }
        unsafe posix_spawn_file_actions_adddup2(&actions, 1, 2)
        var signals = sigset_t()
        unsafe sigfillset(&signals)
        unsafe posix_spawnattr_setsigdefault(&attributes, &signals)
        unsafe sigemptyset(&signals)
        unsafe posix_spawnattr_setsigmask(&attributes, &signals)
        let flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK
        unsafe posix_spawnattr_setflags(&attributes, Int16(truncatingIfNeeded: flags))
        var words = unsafe arguments.map { unsafe strdup($0) } + [nil]
        var variables = unsafe environment.map { unsafe strdup($0) } + [nil]
        defer {
            for index in unsafe words.indices { unsafe free(words[index]) }
            for index in unsafe variables.indices { unsafe free(variables[index]) }
        }
        var child: Int32 = 0
        let result = unsafe posix_spawn(&child, executable, &actions, &attributes, &words, &variables)
        return (result, child)
    }
}
