internal import Accounting
internal import Reactor

/// A place on disk for records that are owed while the database is away. Works on a thread of its own, because a disk
/// can be slow; answers on the loop that asks.
package final class LedgerSpool: @unchecked Sendable {
    /// Used on the spool's thread only, which is why this class may be shared.
    private let directory: SpoolDirectory
    private let thread: LoopThread
    /// As it was opened: what an earlier process left.
    package let found: SpoolSummary

    /// Takes a directory, which has to exist and belongs to one process at a time.
    ///
    /// - Parameter limit: bytes of all its files together.
    /// - Throws: `SpoolError` when it cannot be read, written or locked, `SystemError` without a thread.
    package init(_ path: String, limit: Int) throws {
        directory = try SpoolDirectory(path, limit: limit)
        found = directory.summary
        thread = try LoopThread.start(name: "spool") { _ in nil }
    }

    /// Makes records durable, all or none.
    func append(
        _ records: [RequestRecord], on loop: EventLoop,
        _ completion: @escaping @Sendable (Result<SpoolSummary, SpoolError>) -> Void
    ) {
        perform(on: loop, completion) { (directory) throws(SpoolError) in
            try directory.append(records)
            return directory.summary
        }
    }

    /// Reads the oldest file; nil when there is none.
    func oldest(
        on loop: EventLoop,
        _ completion: @escaping @Sendable (Result<(name: String, content: SpoolFrame.Content)?, SpoolError>) -> Void
    ) {
        perform(on: loop, completion) { (directory) throws(SpoolError) in try directory.oldest() }
    }

    /// Removes a file whose records are in the database, or sets it aside.
    func remove(
        _ name: String, keeps: Bool, on loop: EventLoop,
        _ completion: @escaping @Sendable (Result<SpoolSummary, SpoolError>) -> Void
    ) {
        perform(on: loop, completion) { (directory) throws(SpoolError) in
            try directory.remove(name, keeps: keeps)
            return directory.summary
        }
    }

    private func perform<Value: Sendable>(
        on loop: EventLoop, _ completion: @escaping @Sendable (Result<Value, SpoolError>) -> Void,
        _ body: @escaping @Sendable (SpoolDirectory) throws(SpoolError) -> Value
    ) {
        thread.loop.post { [self] in
            let result: Result<Value, SpoolError>
            do throws(SpoolError) { result = .success(try body(directory)) } catch { result = .failure(error) }
            loop.post { completion(result) }
        }
    }

    /// Waits for what is being written, gives the directory free and ends the thread.
    func stop() {
        thread.loop.post { [self] in
            directory.release()
            thread.loop.stop()
        }
        thread.join()
    }
}
