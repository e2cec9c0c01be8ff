internal import Accounting
internal import Arguments

/// A moment as it is given on the command line, in UTC.
enum Moment {
    static let forms =
        "a date such as 2026-11-01, a time such as 2026-11-24T15:00, now, today, yesterday, this-month, last-month, -7d or "
        + "-24h, in UTC; or a time with its zone such as 2026-11-24T15:00+01:00"

    /// Now, to the second, as times are shown: what is printed and given again means the same.
    static var now: Accounting.Timestamp {
        Accounting.Timestamp(microseconds: Clock.now().microseconds / 1_000_000 * 1_000_000)
    }

    /// A date or time in UTC, or a time with its zone; nil for anything else.
    static func written(_ text: String) -> Accounting.Timestamp? {
        Accounting.Timestamp(rfc3339: text) ?? Accounting.Timestamp(zoned: text)
    }

    /// Reads one of the forms.
    static func read(
        _ text: String, _ option: String, now: Accounting.Timestamp = now
    ) throws(CommandExit) -> Accounting.Timestamp {
        if text == "now" { return now }
        guard let moment = Moment.written(text) ?? UsageMoment(word: text)?.inUTC(now: now) else {
            throw .badUsage("--\(option): must be \(forms)")
        }
        return moment
    }
}

extension ParsedArguments {
    /// A moment's option, nil when it is not given.
    func moment(
        _ option: String, now: Accounting.Timestamp = Moment.now
    ) throws(CommandExit) -> Accounting.Timestamp? {
        guard let text = text(option) else { return nil }
        return try Moment.read(text, option, now: now)
    }
}
