import Glibc
import Synchronization
import Testing

@testable import Reactor

/// Runs `body` on a new loop in this thread until the loop is stopped.
private func withLoop(_ body: (EventLoop) throws -> Void) throws {
    let loop = try EventLoop(name: "test")
    try body(loop)
    loop.run()
}

private final class Record<Value: Sendable>: Sendable {
    private let values = Mutex<[Value]>([])
    func add(_ value: Value) { values.withLock { $0.append(value) } }
    var all: [Value] { values.withLock { $0 } }
}

@Suite struct EventLoopTests {
    @Test func `timers fire in order of their due time, and cancelled ones never`() throws {
        var fired: [Int] = []
        try withLoop { loop in
            loop.schedule(after: .milliseconds(20)) {
                fired.append(3)
                loop.stop()
            }
            loop.schedule(after: .milliseconds(5)) { fired.append(1) }
            loop.schedule(after: .milliseconds(5)) { fired.append(2) }
            loop.schedule(after: .milliseconds(1)) { fired.append(99) }.cancel()
        }
        #expect(fired == [1, 2, 3])
    }

    @Test func `a thousand cancelled timers are thrown out of the heap`() throws {
        let loop = try EventLoop(name: "test")
        var heap = TimerHeap()
        let timers = (0..<1000).map { LoopTimer(due: .now + .seconds($0), order: UInt64($0), loop: loop, work: {}) }
        for timer in timers.shuffled() { heap.push(timer) }
        for timer in timers.dropLast() {
            timer.cancel()
            heap.noteCancelled()
        }
        #expect(heap.nextDue() == timers[999].due)
    }

    @Test func `work posted from other threads runs on the loop, once each`() throws {
        let record = Record<Bool>()
        let thread = try LoopThread.start(name: "loop") { _ in nil }
        let loop = thread.loop
        let posters = try (0..<4).map { _ in
            try LoopThread.start(name: "poster") { own in
                for _ in 0..<1000 { loop.post { record.add(loop.isInLoop) } }
                own.stop()
                return nil
            }
        }
        for poster in posters { poster.join() }
        loop.post { loop.stop() }
        thread.join()
        #expect(record.all.count == 4000)
        #expect(record.all.allSatisfy { $0 })
    }

    @Test func `work posted by work runs before the loop sleeps`() throws {
        var order: [String] = []
        try withLoop { loop in
            loop.schedule(after: .zero) {
                order.append("timer")
                loop.atTurnEnd {
                    order.append("end")
                    loop.stop()
                }
            }
        }
        #expect(order == ["timer", "end"])
    }

    @Test func `a task on the loop stays on its thread through every await`() throws {
        let inLoop = try EventLoop.running("test") { actor in
            var seen: [Bool] = []
            for _ in 0..<10 {
                await Task.yield()
                seen.append(await helper(actor.loop))
            }
            return seen
        }
        #expect(inLoop == Array(repeating: true, count: 10))
    }

    @Test func `an event of a cancelled registration does not reach the next owner of its slot`() throws {
        var pipes: [Int32] = [0, 0]
        try #require(pipe(&pipes) == 0)
        defer { for fd in pipes { close(fd) } }
        var heard: [String] = []
        try withLoop { loop in
            let first = try loop.register(pipes[0], .read) { _ in heard.append("first") }
            first.cancel()
            let second = try loop.register(pipes[0], .read) { ready in
                heard.append(ready.isReadable ? "second" : "?")
                loop.stop()
            }
            first.cancel()
            _ = second
            _ = write(pipes[1], "x", 1)
        }
        #expect(heard == ["second"])
    }

    @Test func `a blocked signal arrives as an event`() throws {
        Signals.block([SIGUSR1])
        var received: [Int32] = []
        var signals: Signals?
        try withLoop { loop in
            signals = try Signals([SIGUSR1], on: loop) { signal in
                received.append(signal)
                loop.stop()
            }
            pthread_kill(pthread_self(), SIGUSR1)
        }
        withExtendedLifetime(signals) {}
        #expect(received == [SIGUSR1])
    }
}

private func helper(_ loop: EventLoop) async -> Bool { loop.isInLoop }
