internal import Glibc

/// A failed system call: which call, and its `errno`.
package struct SystemError: Error, CustomStringConvertible, Equatable {
    /// The call that failed, for example `epoll_ctl`.
    package let call: StaticString
    /// The value of `errno` after the call.
    package let code: Int32

    package init(_ call: StaticString, code: Int32 = errno) {
        self.call = call
        self.code = code
    }

    package var description: String {
        "\(call): \(unsafe String(cString: strerror(code)))"
    }

    package static func == (left: SystemError, right: SystemError) -> Bool {
        left.code == right.code && left.call.description == right.call.description
    }
}

/// Runs a system call again while a signal interrupts it, and turns -1 into an error.
@discardableResult
package func systemCall(_ name: StaticString, _ body: () -> Int32) throws(SystemError) -> Int32 {
    while true {
        let result = body()
        if result != -1 { return result }
        if errno != EINTR { throw SystemError(name) }
    }
}
