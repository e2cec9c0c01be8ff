internal import CLinux
internal import Glibc

/// A thread that runs one event loop.
package struct LoopThread: Sendable {
    package let loop: EventLoop
    private let thread: pthread_t

    /// Starts the thread. `setUp` runs on it before the loop's first turn and makes whatever lives on the loop; what it
    /// returns is kept until the loop has stopped.
    package static func start(
        name: String, _ setUp: @escaping @Sendable (EventLoop) -> Any?
    ) throws(SystemError) -> LoopThread {
        let loop = try EventLoop(name: name)
        let entry = Entry(loop: loop, setUp: setUp)
        var thread = pthread_t()
        let context = unsafe Unmanaged.passRetained(entry).toOpaque()
        let code = unsafe pthread_create(
            &thread, nil,
            { context in
                guard let context = unsafe context else { return nil }
                unsafe Unmanaged<Entry>.fromOpaque(context).takeRetainedValue().run()
                return nil
            }, context)
        guard code == 0 else {
            unsafe Unmanaged<Entry>.fromOpaque(context).release()
            throw SystemError("pthread_create", code: code)
        }
        return LoopThread(loop: loop, thread: thread)
    }

    /// Waits until the loop has stopped and its thread has ended.
    package func join() { pthread_join(thread, nil) }
}

private final class Entry: Sendable {
    let loop: EventLoop
    let setUp: @Sendable (EventLoop) -> Any?

    init(loop: EventLoop, setUp: @escaping @Sendable (EventLoop) -> Any?) {
        self.loop = loop
        self.setUp = setUp
    }

    func run() {
        unsafe rg_name_thread(String(loop.name.prefix(15)))
        let kept = setUp(loop)
        loop.run()
        withExtendedLifetime(kept) {}
    }
}
