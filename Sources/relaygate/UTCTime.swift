internal import Accounting
internal import Glibc

/// A moment in UTC as text, to the second.
struct UTCTime {
    let text: String

    init(_ timestamp: Accounting.Timestamp) {
        var seconds = time_t(timestamp.microseconds / 1_000_000)
        var parts = unsafe tm()
        unsafe gmtime_r(&seconds, &parts)
        let date = unsafe [Int(parts.tm_year) + 1900, Int(parts.tm_mon) + 1, Int(parts.tm_mday)]
        let time = unsafe [Int(parts.tm_hour), Int(parts.tm_min), Int(parts.tm_sec)]
        text =
            date.map(UTCTime.twoDigits).joined(separator: "-") + " "
            + time.map(UTCTime.twoDigits).joined(separator: ":")
    }

    private static func twoDigits(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
}
