/// A moment at which a report begins or ends, always the beginning of an hour.
package enum UsageMoment: Sendable, Equatable {
    package enum Unit: String, Sendable { case hour, day, month }

    /// The beginning of the unit that lies so many before the present one, or after it when negative.
    case ago(Int, Unit)
    /// What the clocks of the report's time zone show, as if it were UTC.
    case clock(Timestamp)
    /// A time that said by how much it differs from UTC.
    case instant(Timestamp)

    private static let forms =
        "write a date such as 2026-10-01, a time such as 2026-10-01T15:00 or 2026-10-01T15:00Z, "
        + "today, yesterday, this-month, last-month, -7d or -24h"

    /// Reads one of the forms that `Docs/usage.md` lists. Throws when it is none of them or not a whole hour.
    package init(_ text: String, parameter: String) throws(UsageProblem) {
        if let word = UsageMoment(word: text) { self = word } else { self = try UsageMoment.written(text, parameter) }
    }

    /// Reads `today`, `yesterday`, `this-month`, `last-month`, or days and hours before such as `-7d`; nil for anything
    /// else.
    package init?(word text: String) {
        switch text {
        case "today": self = .ago(0, .day)
        case "yesterday": self = .ago(1, .day)
        case "this-month": self = .ago(0, .month)
        case "last-month": self = .ago(1, .month)
        default:
            let digits = text.dropFirst().dropLast()
            guard text.hasPrefix("-"), let unit: Unit = text.hasSuffix("d") ? .day : text.hasSuffix("h") ? .hour : nil,
                digits.allSatisfy({ $0.isASCII && $0.isNumber }), let count = Int(digits), count <= 100_000
            else { return nil }
            self = .ago(count, unit)
        }
    }

    /// When it is by the clocks of UTC.
    package func inUTC(now: Timestamp) -> Timestamp {
        switch self {
        case .ago(let count, .hour): now.floor(hours: 1, ago: count)
        case .ago(let count, .day): now.floor(hours: 24, ago: count)
        case .ago(let count, .month): now.month(ago: count)
        case .clock(let moment), .instant(let moment): moment
        }
    }

    private static func written(_ text: String, _ parameter: String) throws(UsageProblem) -> UsageMoment {
        var clock = text[...]
        var offset: Int64?
        if text.hasSuffix("Z") {
            (clock, offset) = (text.dropLast(), 0)
        } else if text.utf8.count > 16, let sign = text.suffix(6).first, sign == "+" || sign == "-" {
            let parts = text.suffix(5).split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count == 2, parts.allSatisfy({ $0.utf8.count == 2 }), let hours = Int64(parts[0]),
                let minutes = Int64(parts[1]), (0...15).contains(hours), (0..<60).contains(minutes)
            else { throw UsageProblem(parameter, "is not a moment; \(forms)") }
            (clock, offset) = (text.dropLast(6), (hours * 60 + minutes) * (sign == "-" ? -1 : 1))
        }
        guard let shown = Timestamp(rfc3339: String(clock)), offset == nil || clock.utf8.count >= 16, clock.last != "Z"
        else { throw UsageProblem(parameter, "is not a moment; \(forms)") }
        let moment = Timestamp(microseconds: shown.microseconds - (offset ?? 0) * 60_000_000)
        guard moment.microseconds % 3_600_000_000 == 0 else {
            throw UsageProblem(parameter, "is not a whole hour, and usage is kept by the hour; leave the minutes at 00")
        }
        return offset == nil ? .clock(moment) : .instant(moment)
    }
}
