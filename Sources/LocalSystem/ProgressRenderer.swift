/// Turns progress events into the text of a terminal or of a log.
///
/// On a terminal one line is rewritten in place. Elsewhere (a pipe, a CI log) a transfer gives one line for every
/// tenth of it and a wait one line every ten seconds, so that the log stays short and still shows life.
package struct ProgressRenderer: Sendable {
    private let isTerminal: Bool
    private let width: Int
    /// What the last plain line showed, so that the same tenth is not printed twice: label and step.
    private var lastStep: (label: String, step: Int64)?
    /// True while the cursor stands at the end of an unfinished terminal line.
    private var lineIsOpen = false

    /// - Parameters:
    ///   - isTerminal: whether the text goes to a terminal that understands a carriage return and "erase line".
    ///   - width: columns of the terminal; longer lines are cut, since a wrapped line cannot be rewritten.
    package init(isTerminal: Bool, width: Int = 80) {
        self.isTerminal = isTerminal
        self.width = max(20, width)
    }

    /// The text to write for an event, or nil when it adds nothing to what was written before.
    package mutating func render(_ event: ProgressEvent) -> String? {
        switch event {
        case .note(let text):
            return closingLine() + text + "\n"
        case .transfer(let label, let done, let total):
            return step(label: label, step: Self.tenth(done, total), text: Self.transferText(label, done, total))
        case .waiting(let label, let seconds):
            return step(label: label, step: Int64(seconds / 10), text: "\(label) ... \(seconds) s")
        case .finished(let label):
            lastStep = nil
            guard isTerminal else { return "\(label): done\n" }
            lineIsOpen = false
            return "\r\u{1B}[K" + fitted("\(label): done") + "\n"
        }
    }

    /// What to write before an error message or at the end, so that the next text starts on a fresh line.
    package mutating func closingLine() -> String {
        lastStep = nil
        guard lineIsOpen else { return "" }
        lineIsOpen = false
        return "\n"
    }

    private mutating func step(label: String, step: Int64, text: String) -> String? {
        if isTerminal {
            lineIsOpen = true
            return "\r\u{1B}[K" + fitted(text)
        }
        if let lastStep, lastStep.label == label, lastStep.step == step { return nil }
        lastStep = (label, step)
        return text + "\n"
    }

    private func fitted(_ text: String) -> String {
        // One column stays free: a terminal wraps when the last one is filled.
        text.count < width ? text : String(text.prefix(width - 1))
    }

    private static func tenth(_ done: Int64, _ total: Int64) -> Int64 {
        // An unknown total steps every 50 MB.
        total > 0 ? percent(done, total) / 10 : max(0, done) / 50_000_000
    }

    private static func percent(_ done: Int64, _ total: Int64) -> Int64 {
        let bounded = min(max(0, done), total)
        // Dividing first loses at most one percent and cannot overflow.
        return total >= 100_000 ? min(100, bounded / (total / 100)) : bounded * 100 / total
    }

    private static func transferText(_ label: String, _ done: Int64, _ total: Int64) -> String {
        let megabytes = max(0, done) / 1_000_000
        guard total > 0 else { return "\(label): \(megabytes) MB" }
        return "\(label): \(megabytes) of \(total / 1_000_000) MB (\(percent(done, total)) %)"
    }
}
