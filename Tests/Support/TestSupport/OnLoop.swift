package import Reactor

/// Runs `body` on an event loop with a thread of its own, so that no thread of Swift's pool is blocked meanwhile.
package func onLoop<Value: Sendable>(
    _ body: @Sendable (isolated LoopActor) async throws -> Value
) async throws -> Value {
    let thread = try LoopThread.start(name: "test") { _ in nil }
    defer {
        thread.loop.stop()
        thread.join()
    }
    return try await LoopActor(thread.loop).run(body)
}
