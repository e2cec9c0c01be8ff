/// A value that lives on one loop, in a form that may travel: other threads can carry it, only the loop can open it.
///
/// `@unchecked Sendable` because the check is at run time: `value` traps off the loop.
package struct LoopBound<Value>: @unchecked Sendable {
    private let loop: EventLoop
    private let content: Value

    /// Wraps a value of `loop`. *Loop thread.*
    package init(_ value: Value, on loop: EventLoop) {
        self.loop = loop
        content = value
    }

    /// The value. *Loop thread*; anywhere else it traps.
    package var value: Value {
        precondition(loop.isInLoop, "a value of loop \(loop.name) was opened off its thread")
        return content
    }
}
