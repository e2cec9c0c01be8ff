/// A binary heap of timers, ordered by due time and, when equal, by the order in which they were scheduled.
///
/// Cancelled timers stay in the heap until they come up; `compact` throws them out when they are the majority.
struct TimerHeap {
    private var entries: [LoopTimer] = []
    private var cancelled = 0

    var isEmpty: Bool { entries.isEmpty }

    /// The earliest due time of a timer that was not cancelled.
    mutating func nextDue() -> ContinuousClock.Instant? {
        dropCancelledHead()
        return entries.first?.due
    }

    mutating func push(_ timer: LoopTimer) {
        entries.append(timer)
        siftUp(entries.count - 1)
    }

    /// Takes the earliest timer if it is due at `now`.
    mutating func popDue(_ now: ContinuousClock.Instant) -> LoopTimer? {
        dropCancelledHead()
        guard let head = entries.first, head.due <= now else { return nil }
        removeHead()
        return head
    }

    mutating func noteCancelled() {
        cancelled += 1
        guard cancelled > 64, cancelled * 2 > entries.count else { return }
        let live = entries.filter { !$0.isCancelled }
        entries = []
        cancelled = 0
        for timer in live { push(timer) }
    }

    private mutating func dropCancelledHead() {
        while let head = entries.first, head.isCancelled {
            removeHead()
            cancelled = max(0, cancelled - 1)
        }
    }

    private mutating func removeHead() {
        let last = entries.removeLast()
        guard !entries.isEmpty else { return }
        entries[0] = last
        siftDown(0)
    }

    private mutating func siftUp(_ start: Int) {
        var child = start
        while child > 0 {
            let parent = (child - 1) / 2
            guard entries[child].isBefore(entries[parent]) else { return }
            entries.swapAt(child, parent)
            child = parent
        }
    }

    private mutating func siftDown(_ start: Int) {
        var parent = start
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < entries.count && entries[child].isBefore(entries[least]) {
                least = child
            }
            guard least != parent else { return }
            entries.swapAt(parent, least)
            parent = least
        }
    }
}

/// One piece of work at one time on one loop. Only that loop's thread touches it.
package final class LoopTimer {
    let due: ContinuousClock.Instant
    let order: UInt64
    private var work: (() -> Void)?
    private weak var loop: EventLoop?

    init(due: ContinuousClock.Instant, order: UInt64, loop: EventLoop, work: @escaping () -> Void) {
        self.due = due
        self.order = order
        self.loop = loop
        self.work = work
    }

    var isCancelled: Bool { work == nil }

    /// Forgets the work. Harmless when the timer has fired or was cancelled already.
    package func cancel() {
        guard work != nil else { return }
        work = nil
        loop?.timerWasCancelled()
    }

    func fire() {
        let work = self.work
        self.work = nil
        work?()
    }

    func isBefore(_ other: LoopTimer) -> Bool {
        due != other.due ? due < other.due : order < other.order
    }
}
