/// Microseconds since 1970-01-01 00:00 UTC.
package struct Timestamp: Hashable, Sendable, Comparable {
    package let microseconds: Int64
    package init(microseconds: Int64) { self.microseconds = microseconds }

    /// As RFC 3339 writes it, in UTC and to the second: `2026-11-24T00:00:00Z`.
    package var rfc3339: String {
        let (days, microseconds) = microseconds.quotientAndModulus(dividingBy: 86_400_000_000)
        let (year, month, day) = Timestamp.civil(days: days)
        let seconds = Int(microseconds / 1_000_000)
        let clock = [seconds / 3600, seconds / 60 % 60, seconds % 60].map { Timestamp.digits($0, 2) }
        return [Timestamp.digits(year, 4), Timestamp.digits(month, 2), Timestamp.digits(day, 2)].joined(separator: "-")
            + "T" + clock.joined(separator: ":") + "Z"
    }

    /// Reads a date or a time in UTC: `2026-11-24`, `2026-11-24T15:00`, `2026-11-24T15:00:00Z`. Nil for anything else.
    package init?(rfc3339 text: String) {
        let shape = Array("dddd-dd-ddTdd:dd:ddZ".utf8)
        let bytes = Array(text.utf8)
        // A date, a time to the minute, to the second, and with its zone.
        guard [10, 16, 19, 20].contains(bytes.count) else { return nil }
        for (byte, place) in zip(bytes, shape) {
            let isRight =
                switch place {
                case UInt8(ascii: "d"): (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                case UInt8(ascii: "T"): byte == place || byte == UInt8(ascii: " ")
                default: byte == place
                }
            guard isRight else { return nil }
        }
        func number(_ range: Range<Int>) -> Int {
            range.upperBound <= bytes.count ? bytes[range].reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) } : 0
        }
        let (year, month, day) = (number(0..<4), number(5..<7), number(8..<10))
        let (hour, minute, second) = (number(11..<13), number(14..<16), number(17..<19))
        guard year >= 1970, (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60, second < 60 else {
            return nil
        }
        let days = Timestamp.days(year: year, month: month, day: day)
        // The 31st of a month of 30 days is another date.
        guard Timestamp.civil(days: days) == (year, month, day) else { return nil }
        self.init(microseconds: (days * 86_400 + Int64(hour * 3600 + minute * 60 + second)) * 1_000_000)
    }

    /// The beginning, in UTC, of the month that lies so many before its own.
    package func month(ago count: Int = 0) -> Timestamp {
        let (year, month, _) = Timestamp.civil(
            days: microseconds.quotientAndModulus(dividingBy: 86_400_000_000).quotient)
        let months = year * 12 + month - 1 - count
        let days = Timestamp.days(year: months / 12, month: months % 12 + 1, day: 1)
        return Timestamp(microseconds: days * 86_400_000_000)
    }

    /// The beginning of the so many hours, counted from 1970-01-01 00:00 UTC, that lie so many times before its own.
    package func floor(hours: Int, ago count: Int = 0) -> Timestamp {
        let length = Int64(hours) * 3_600_000_000
        return Timestamp(
            microseconds: (microseconds.quotientAndModulus(dividingBy: length).quotient - Int64(count)) * length)
    }

    /// The days since 1970-01-01 of a Gregorian date: the inverse of `civil`.
    private static func days(year: Int, month: Int, day: Int) -> Int64 {
        let marchYear = Int64(month <= 2 ? year - 1 : year)
        let dayOfYear = Int64((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1)
        let (era, yearOfEra) = marchYear.quotientAndModulus(dividingBy: 400)
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    /// The Gregorian date of a number of days since 1970-01-01. Years begin in March here, so that the leap day is the
    /// last of them; 400 of them have 146,097 days.
    private static func civil(days: Int64) -> (year: Int, month: Int, day: Int) {
        let (era, dayOfEra) = (days + 719_468).quotientAndModulus(dividingBy: 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return (Int(year), Int(month), Int(dayOfYear - (153 * marchMonth + 2) / 5 + 1))
    }

    private static func digits(_ number: Int, _ count: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, count - text.count)) + text
    }

    package static func < (left: Timestamp, right: Timestamp) -> Bool { left.microseconds < right.microseconds }
}

extension Int64 {
    /// Division that rounds down, so that the rest is never negative.
    fileprivate func quotientAndModulus(dividingBy divisor: Int64) -> (quotient: Int64, modulus: Int64) {
        let (quotient, rest) = quotientAndRemainder(dividingBy: divisor)
        return rest < 0 ? (quotient - 1, rest + divisor) : (quotient, rest)
    }
}
