import Glibc

/// A moment in UTC to the millisecond, and its text by ISO 8601.
package struct Timestamp: Sendable, Equatable {
    /// Milliseconds since 1970-01-01T00:00:00Z; negative before.
    package let milliseconds: Int64

    package init(milliseconds: Int64) {
        self.milliseconds = milliseconds
    }

    /// The system's clock now.
    package static func now() -> Timestamp {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }

    /// `2026-11-23T21:05:30.123Z`
    package var text: String {
        var bytes: [UInt8] = []
        append(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Appends `text` without making a string.
    func append(to bytes: inout [UInt8]) {
        let (days, time) = Self.floored(milliseconds, by: 86_400_000)
        let (year, month, day) = Self.civilDate(days: days)
        Self.append(year, digits: 4, to: &bytes)
        for (value, separator) in [(month, "-"), (day, "-"), (time / 3_600_000, "T")] {
            bytes += separator.utf8
            Self.append(value, digits: 2, to: &bytes)
        }
        for value in [time / 60_000 % 60, time / 1000 % 60] {
            bytes.append(UInt8(ascii: ":"))
            Self.append(value, digits: 2, to: &bytes)
        }
        bytes.append(UInt8(ascii: "."))
        Self.append(time % 1000, digits: 3, to: &bytes)
        bytes.append(UInt8(ascii: "Z"))
    }

    /// The Gregorian date of a day counted from 1970-01-01.
    ///
    /// Years are counted from March, so that the leap day is the last of its year, in eras of 400 years, which all
    /// have 146,097 days; 719,468 is the distance from 0000-03-01 to 1970-01-01.
    private static func civilDate(days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let (era, dayOfEra) = floored(days + 719_468, by: 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        return (era * 400 + yearOfEra + (month <= 2 ? 1 : 0), month, day)
    }

    /// Division that rounds towards the past, so that moments before 1970 work too.
    private static func floored(_ value: Int64, by divisor: Int64) -> (
        quotient: Int64, remainder: Int64
    ) {
        let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }

    private static func append(_ value: Int64, digits: Int, to bytes: inout [UInt8]) {
        let text = String(value)
        for _ in 0..<max(0, digits - text.utf8.count) { bytes.append(UInt8(ascii: "0")) }
        bytes += text.utf8
    }
}
