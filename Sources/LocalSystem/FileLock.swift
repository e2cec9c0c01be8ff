import Glibc

/// An exclusive `flock` on a file, held until the value is released or the process ends.
///
/// The kernel drops the lock with the process, even after `kill -9`, so a lock is never stale. The descriptor is
/// closed on exec: a child that outlives this process must not keep the lock.
package struct FileLock: ~Copyable, Sendable {
    private let descriptor: Int32

    /// Takes the lock at once or fails.
    ///
    /// - Parameter path: the lock file; created with mode 0600 if missing. Its directory must exist.
    /// - Throws: `lockHeld` when another process (or another `FileLock` of this one) has it, `fileFailed` otherwise.
    package init(path: String) throws(LocalSystemError) {
        let descriptor = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else {
            throw LocalSystemError(.fileFailed, "cannot open the lock file \(path): \(SystemText.error(errno))")
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let reason = errno
            _ = Glibc.close(descriptor)
            if reason == EWOULDBLOCK { throw LocalSystemError(.lockHeld, "\(path) is locked by another process") }
            throw LocalSystemError(.fileFailed, "cannot lock \(path): \(SystemText.error(reason))")
        }
        self.descriptor = descriptor
    }

    /// Takes the lock, trying again until it is free.
    ///
    /// - Parameters:
    ///   - path: the lock file.
    ///   - limitSeconds: how long to try; nil tries for ever.
    ///   - waiting: called about once a second with the whole seconds waited so far.
    /// - Throws: `lockHeld` after the limit, `fileFailed` otherwise.
    package static func wait(
        path: String, limitSeconds: Int?, waiting: (Int) -> Void
    ) throws(LocalSystemError) -> FileLock {
        var tries = 0
        while true {
            do {
                return try FileLock(path: path)
            } catch {
                guard error.code == .lockHeld, limitSeconds.map({ tries < $0 * 10 }) ?? true else { throw error }
            }
            if tries.isMultiple(of: 10) { waiting(tries / 10) }
            Pause.milliseconds(100)
            tries += 1
        }
    }

    /// Writes the process id of the holder into the file, for the message of the one who comes second.
    package func writeOwner() {
        _ = ftruncate(descriptor, 0)
        let bytes = Array("\(getpid())\n".utf8)
        // The text is a courtesy; the lock itself does not depend on it.
        _ = unsafe bytes.withUnsafeBytes { unsafe pwrite(descriptor, $0.baseAddress, $0.count, 0) }
    }

    /// The process id in a lock file, when it can be read and such a process lives.
    package static func liveOwner(path: String) -> Int32? {
        guard let text = SystemText.firstLine(path: path), let owner = Int32(text), owner > 0 else { return nil }
        return kill(owner, 0) == 0 || errno == EPERM ? owner : nil
    }

    deinit {
        _ = Glibc.close(descriptor)
    }
}
