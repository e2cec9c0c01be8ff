import Glibc
import Synchronization

/// Writes progress to standard error, rewriting one line when that is a terminal.
///
/// Standard error is used so that the output of a command stays clean when it is piped.
package final class TerminalProgress: Sendable {
    private let renderer: Mutex<ProgressRenderer>

    package init() {
        let isTerminal = isatty(STDERR_FILENO) == 1
        renderer = Mutex(ProgressRenderer(isTerminal: isTerminal, width: Self.columns()))
    }

    /// Shows one event.
    package func show(_ event: ProgressEvent) {
        renderer.withLock { renderer in
            if let text = renderer.render(event) { Self.write(text) }
        }
    }

    /// Ends an unfinished line; call before an error message is printed.
    package func close() {
        renderer.withLock { renderer in Self.write(renderer.closingLine()) }
    }

    private static func columns() -> Int {
        var size = winsize()
        guard unsafe ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
        return Int(size.ws_col)
    }

    private static func write(_ text: String) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let written = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
            // Progress is worth nothing once the terminal is gone, so a failed write is not an error.
            guard written > 0 else { return }
            bytes = bytes.dropFirst(written)
        }
    }
}
