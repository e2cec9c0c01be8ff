import Accounting
import Testing

@Suite struct TimestampTests {
    struct Moment: CustomTestStringConvertible, Sendable {
        let text: String
        /// Seconds since 1970, by `date -u -d … +%s`.
        let seconds: Int64
        var testDescription: String { text }
    }

    static let moments = [
        Moment(text: "1970-01-01T00:00:00Z", seconds: 0),
        Moment(text: "1972-02-29T23:59:59Z", seconds: 68_255_999),
        Moment(text: "1999-12-31T23:59:59Z", seconds: 946_684_799),
        Moment(text: "2000-02-29T12:00:00Z", seconds: 951_825_600),
        Moment(text: "2026-11-24T15:00:01Z", seconds: 1_795_532_401),
        Moment(text: "2100-03-01T00:00:00Z", seconds: 4_107_542_400),
        Moment(text: "9999-12-31T23:59:59Z", seconds: 253_402_300_799),
    ]

    @Test(arguments: moments) func `a time is written and read`(_ moment: Moment) {
        let timestamp = Timestamp(microseconds: moment.seconds * 1_000_000)
        #expect(timestamp.rfc3339 == moment.text)
        #expect(Timestamp(rfc3339: moment.text) == timestamp)
    }

    @Test func `parts of a second are cut, also before 1970`() {
        #expect(Timestamp(microseconds: 999_999).rfc3339 == "1970-01-01T00:00:00Z")
        #expect(Timestamp(microseconds: -1).rfc3339 == "1969-12-31T23:59:59Z")
    }

    @Test(arguments: [
        ("2026-11-24", "2026-11-24T00:00:00Z"), ("2026-11-24T15:07", "2026-11-24T15:07:00Z"),
        ("2026-11-24 15:07:09", "2026-11-24T15:07:09Z"), ("2024-02-29", "2024-02-29T00:00:00Z"),
    ])
    func `shorter forms are read`(text: String, full: String) {
        #expect(Timestamp(rfc3339: text)?.rfc3339 == full)
    }

    @Test(arguments: [
        "", "now", "2026", "2026-11", "2026-00-10", "2026-13-01", "2026-11-00", "2026-11-31", "2025-02-29",
        "2100-02-29",
        "2026-11-24T24:00:00Z", "2026-11-24T00:60:00Z", "2026-11-24T00:00:60Z", "1969-12-31", "10000-01-01",
        "2026-11-24T15:00:00+01:00", "2026-11-24T15:00:00.5Z", "2026-11-24T15:00:00Z extra", "2026/11/24",
        "2026-11-999999999999999999", "2026-99999999999999-01", "99999999999999999999-01-01", "２０２６-11-24",
        "-2026-11-24", "2026-+1-24", "2026--11-24", "2026-11-24T15:00:00ZZ", "24-2026-11",
    ])
    func `what is no time is not read`(text: String) {
        #expect(Timestamp(rfc3339: text) == nil)
    }

    @Test func `every day of 400 years is written and read`() {
        for day in 0..<146_097 as Range<Int64> where day % 7 == 3 || day < 3000 {
            let timestamp = Timestamp(microseconds: day * 86_400_000_000)
            #expect(Timestamp(rfc3339: timestamp.rfc3339) == timestamp)
        }
    }
}
