internal import CLinux
internal import Glibc
internal import Synchronization

/// One thread's epoll set, timers, inbox and Swift executor.
///
/// Everything marked *loop thread* is called by the thread that runs `run()`, or before it runs; `post`, `stop` and
/// `enqueue` may be called from anywhere. The class is `@unchecked Sendable` because the compiler cannot see that rule:
/// the state that other threads touch is in `inbox`, and every other entry point checks the thread.
package final class EventLoop: @unchecked Sendable {
    /// What a descriptor is watched for.
    package struct Interest: OptionSet, Sendable {
        package let rawValue: UInt32
        package init(rawValue: UInt32) { self.rawValue = rawValue }
        package static let read = Interest(rawValue: rg_epollin)
        package static let write = Interest(rawValue: rg_epollout)
        /// The peer has closed its sending side.
        package static let peerClosed = Interest(rawValue: rg_epollrdhup)
        /// Tell once for each change, not as long as it holds.
        package static let edge = Interest(rawValue: rg_epollet)
    }

    /// What epoll reported about a descriptor.
    package struct Readiness: Sendable {
        let bits: UInt32
        package var isReadable: Bool { bits & (rg_epollin | rg_epollhup | rg_epollerr) != 0 }
        package var isWritable: Bool { bits & (rg_epollout | rg_epollerr) != 0 }
        package var isError: Bool { bits & rg_epollerr != 0 }
        package var isPeerClosed: Bool { bits & (rg_epollrdhup | rg_epollhup | rg_epollerr) != 0 }
    }

    private struct Slot {
        var fd: Int32
        var generation: UInt32
        var handler: ((Readiness) -> Void)?
    }

    private struct Inbox {
        var jobs: [UnownedJob] = []
        var work: [@Sendable () -> Void] = []
        /// A wake-up has been written and not been read yet: further messages need no other.
        var isWoken = false
        var isStopped = false
    }

    package let name: String
    private let epoll: FileDescriptor
    private let wakeup: FileDescriptor
    private let inbox = Mutex(Inbox())
    private let owner = Atomic<UInt>(0)

    private var slots: [Slot] = []
    private var freeSlots: [Int] = []
    private var timers = TimerHeap()
    private var timerOrder: UInt64 = 0
    private var turnEnd: [() -> Void] = []
    private var spareJobs: [UnownedJob] = []
    private var spareWork: [@Sendable () -> Void] = []

    /// The time at which this turn began; one clock reading serves all of it. *Loop thread.*
    package private(set) var now = ContinuousClock.now

    package init(name: String) throws(SystemError) {
        self.name = name
        epoll = FileDescriptor(owning: try systemCall("epoll_create1") { rg_epoll_create() })
        wakeup = FileDescriptor(owning: try systemCall("eventfd") { rg_eventfd() })
        var event = unsafe epoll_event(events: rg_epollin, data: epoll_data_t(u64: UInt64.max))
        try systemCall("epoll_ctl") { unsafe epoll_ctl(epoll.raw, EPOLL_CTL_ADD, wakeup.raw, &event) }
    }

    /// Whether the calling thread is the one that runs this loop.
    package var isInLoop: Bool { owner.load(ordering: .relaxed) == UInt(pthread_self()) }

    // MARK: Any thread

    /// Runs `work` in a later turn of the loop.
    package func post(_ work: @escaping @Sendable () -> Void) {
        let wake = inbox.withLock { inbox in
            inbox.work.append(work)
            defer { inbox.isWoken = true }
            return !inbox.isWoken
        }
        if wake { writeWakeup() }
    }

    /// Makes `run()` return at the end of its turn.
    package func stop() {
        inbox.withLock { $0.isStopped = true }
        writeWakeup()
    }

    private func writeWakeup() {
        var one: UInt64 = 1
        _ = unsafe write(wakeup.raw, &one, MemoryLayout<UInt64>.size)
    }

    // MARK: Loop thread

    /// Runs `work` once, `delay` from now, unless the timer is cancelled before.
    @discardableResult
    package func schedule(after delay: Duration, _ work: @escaping () -> Void) -> LoopTimer {
        // A timer of another thread would be lost: this loop sleeps and does not see it.
        precondition(isInLoop || owner.load(ordering: .relaxed) == 0, "a timer is scheduled on its loop")
        timerOrder += 1
        let timer = LoopTimer(due: ContinuousClock.now + delay, order: timerOrder, loop: self, work: work)
        timers.push(timer)
        return timer
    }

    /// Runs `work` when the events of this turn have been handled, before the loop sleeps.
    package func atTurnEnd(_ work: @escaping () -> Void) { turnEnd.append(work) }

    /// Watches `fd`; `handler` is called in the loop until the registration is cancelled. The caller keeps the
    /// descriptor open until then.
    package func register(
        _ fd: Int32, _ interest: Interest, _ handler: @escaping (Readiness) -> Void
    ) throws(SystemError) -> Registration {
        let index = freeSlots.popLast() ?? slots.count
        if index == slots.count { slots.append(Slot(fd: -1, generation: 0, handler: nil)) }
        slots[index].fd = fd
        slots[index].handler = handler
        let token = UInt64(index) << 32 | UInt64(slots[index].generation)
        var event = unsafe epoll_event(events: interest.rawValue, data: epoll_data_t(u64: token))
        do {
            try systemCall("epoll_ctl") { unsafe epoll_ctl(epoll.raw, EPOLL_CTL_ADD, fd, &event) }
        } catch {
            freeSlot(index)
            throw error
        }
        return Registration(loop: self, index: index, generation: slots[index].generation)
    }

    func update(index: Int, generation: UInt32, _ interest: Interest) {
        guard index < slots.count, slots[index].generation == generation else { return }
        let token = UInt64(index) << 32 | UInt64(generation)
        var event = unsafe epoll_event(events: interest.rawValue, data: epoll_data_t(u64: token))
        _ = unsafe epoll_ctl(epoll.raw, EPOLL_CTL_MOD, slots[index].fd, &event)
    }

    /// `isOpen` is false when the descriptor was closed already: the kernel has forgotten it then, and its number may
    /// belong to somebody else.
    func cancel(index: Int, generation: UInt32, isOpen: Bool) {
        guard index < slots.count, slots[index].generation == generation else { return }
        if isOpen { _ = epoll_ctl(epoll.raw, EPOLL_CTL_DEL, slots[index].fd, nil) }
        freeSlot(index)
    }

    private func freeSlot(_ index: Int) {
        slots[index].handler = nil
        slots[index].fd = -1
        slots[index].generation &+= 1
        freeSlots.append(index)
    }

    func timerWasCancelled() { timers.noteCancelled() }

    /// Turns until `stop()`.
    package func run() {
        precondition(owner.load(ordering: .relaxed) == 0, "a loop is run by one thread")
        owner.store(UInt(pthread_self()), ordering: .relaxed)
        defer { owner.store(0, ordering: .relaxed) }
        unsafe withUnsafeTemporaryAllocation(of: epoll_event.self, capacity: 256) { events in
            while !(inbox.withLock { $0.isStopped }) { unsafe turn(events) }
        }
        drainInbox()
    }

    private func turn(_ events: UnsafeMutableBufferPointer<epoll_event>) {
        let count = unsafe epoll_wait(epoll.raw, events.baseAddress, Int32(events.count), sleepMilliseconds())
        precondition(count >= 0 || errno == EINTR, "epoll_wait failed: the loop's own descriptor is broken")
        now = ContinuousClock.now
        for index in 0..<Int(max(0, count)) { unsafe dispatch(events[index]) }
        while let timer = timers.popDue(now) { timer.fire() }
        drainInbox()
        runTurnEnd()
    }

    private func dispatch(_ event: epoll_event) {
        let token = unsafe event.data.u64
        if token == UInt64.max {
            var count: UInt64 = 0
            _ = unsafe read(wakeup.raw, &count, MemoryLayout<UInt64>.size)
            return
        }
        let index = Int(token >> 32)
        // The slot may have been freed, and given to another descriptor, by an earlier event of this turn.
        guard index < slots.count, slots[index].generation == UInt32(truncatingIfNeeded: token) else { return }
        unsafe slots[index].handler?(Readiness(bits: event.events))
    }

    private func sleepMilliseconds() -> Int32 {
        if !turnEnd.isEmpty { return 0 }
        guard let due = timers.nextDue() else { return -1 }
        let wait = due - ContinuousClock.now
        if wait <= .zero { return 0 }
        // Rounded up: waking before a timer is due would spin.
        let (seconds, attoseconds) = wait.components
        let milliseconds = min(seconds, 3600) * 1000 + attoseconds / 1_000_000_000_000_000 + 1
        return Int32(milliseconds)
    }

    private func drainInbox() {
        inbox.withLock { inbox in
            swap(&inbox.jobs, &spareJobs)
            swap(&inbox.work, &spareWork)
            inbox.isWoken = !spareJobs.isEmpty || !spareWork.isEmpty
        }
        // While a batch runs the flag stays set, so that messages from the loop to itself cost no system call; a second
        // look below finds them.
        while !spareJobs.isEmpty || !spareWork.isEmpty {
            for job in spareJobs { unsafe job.runSynchronously(on: asUnownedSerialExecutor()) }
            for work in spareWork { work() }
            spareJobs.removeAll(keepingCapacity: true)
            spareWork.removeAll(keepingCapacity: true)
            inbox.withLock { inbox in
                swap(&inbox.jobs, &spareJobs)
                swap(&inbox.work, &spareWork)
                inbox.isWoken = !spareJobs.isEmpty || !spareWork.isEmpty
            }
        }
    }

    private func runTurnEnd() {
        // Work that this work adds runs at once, so that what belongs together leaves in one turn; what goes on for
        // longer waits for the next turn, which comes without sleep, so that other events get theirs.
        for _ in 0..<EventLoop.turnEndRounds where !turnEnd.isEmpty {
            let work = turnEnd
            turnEnd = []
            for item in work { item() }
        }
    }

    private static let turnEndRounds = 8
}

/// The executor: a job is a message like any other, so a task that runs on the loop never leaves it.
extension EventLoop: SerialExecutor {
    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let wake = inbox.withLock { inbox in
            inbox.jobs.append(job)
            defer { inbox.isWoken = true }
            return !inbox.isWoken
        }
        if wake { writeWakeup() }
    }

    package func checkIsolated() { precondition(isInLoop, "called off the event loop \(name)") }

    package func isIsolatingCurrentContext() -> Bool? { isInLoop }
}

/// A watched descriptor. *Loop thread.* Cancelling twice is harmless.
package struct Registration {
    private weak var loop: EventLoop?
    private let index: Int
    private let generation: UInt32

    init(loop: EventLoop, index: Int, generation: UInt32) {
        self.loop = loop
        self.index = index
        self.generation = generation
    }

    /// Watches for something else from now on.
    package func update(_ interest: EventLoop.Interest) { loop?.update(index: index, generation: generation, interest) }

    /// Watches no more. `isOpen: false` when the descriptor has been closed by its owner.
    package func cancel(isOpen: Bool = true) { loop?.cancel(index: index, generation: generation, isOpen: isOpen) }
}
