import Notation

/// What a value must look like; checked when the command line is read, so that a wrong one is bad usage.
package enum ValueKind: Sendable, Equatable {
    /// Any text that is not empty.
    case text
    case integer(ClosedRange<Int>)
    case number(ClosedRange<Double>)
    /// As `30s` or `250ms`.
    case duration
    /// As `64KiB` or `4MiB`.
    case bytes
    case choice([String])

    /// What is wrong with a text, completing "--name: …", or nil.
    func complaint(about text: String) -> String? {
        switch self {
        case .text:
            return text.isEmpty ? "must not be empty" : nil
        case .integer(let range):
            guard let value = Int(text), range.contains(value) else {
                return "must be a whole number\(Self.limits(range)), not \(shown(text))"
            }
        case .number(let range):
            guard let value = Double(text), range.contains(value) else {
                return
                    "must be a number from \(range.lowerBound) to \(range.upperBound), not \(shown(text))"
            }
        case .duration:
            guard Quantity.duration(text) != nil else {
                return "must be a duration with a unit such as 250ms, 30s or 5m, not \(shown(text))"
            }
        case .bytes:
            guard Quantity.bytes(text) != nil else {
                return "must be a size with a unit such as 64KiB or 4MiB, not \(shown(text))"
            }
        case .choice(let words):
            guard words.contains(text) else {
                let guess = NearestName.among(words, to: text).map { ", did you mean \"\($0)\"?" } ?? ""
                return "must be \(words.joined(separator: ", ")), not \(shown(text))\(guess)"
            }
        }
        return nil
    }

    private static func limits(_ range: ClosedRange<Int>) -> String {
        if range.upperBound == .max {
            return range.lowerBound == .min ? "" : " of at least \(range.lowerBound)"
        }
        return " from \(range.lowerBound) to \(range.upperBound)"
    }
}

/// A word of the command line in quotes for a message: cut when long, with control characters made visible.
func shown(_ text: String) -> String {
    let head = text.unicodeScalars.prefix(64).map { $0.escaped(asASCII: false) }.joined()
    return "\"\(head)\(text.unicodeScalars.count > 64 ? "…" : "")\""
}
