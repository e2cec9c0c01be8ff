internal import Synchronization

/// The isolation domain of one loop: tasks started inside it run on the loop's thread.
package actor LoopActor {
    package nonisolated let loop: EventLoop

    package nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe loop.asUnownedSerialExecutor() }

    package init(_ loop: EventLoop) { self.loop = loop }

    /// Runs `body` on the loop.
    package func run<Value: Sendable>(_ body: @Sendable (isolated LoopActor) async throws -> Value) async rethrows
        -> Value
    {
        try await body(self)
    }
}

extension EventLoop {
    /// Makes a loop, runs `body` on it in the calling thread, and returns what it returns: the way a command-line tool
    /// uses the asynchronous parts.
    package static func running<Value: Sendable>(
        _ name: String, _ body: @escaping @Sendable (isolated LoopActor) async throws -> Value
    ) throws -> Value {
        let loop = try EventLoop(name: name)
        let actor = LoopActor(loop)
        let outcome = Outcome<Value>()
        Task {
            do { outcome.set(.success(try await actor.run(body))) } catch { outcome.set(.failure(error)) }
            loop.stop()
        }
        loop.run()
        guard let value = outcome.get() else { preconditionFailure("the loop was stopped before its work was done") }
        return try value.get()
    }
}

private final class Outcome<Value: Sendable>: Sendable {
    private let result = Mutex<Result<Value, any Error>?>(nil)
    func set(_ value: Result<Value, any Error>) { result.withLock { $0 = value } }
    func get() -> Result<Value, any Error>? { result.withLock { $0 } }
}
