import Accounting
import Testing

@Suite struct UsageQueryTests {
    struct Moment: Sendable, CustomTestStringConvertible {
        let text: String
        let expected: UsageMoment
        var testDescription: String { text }
    }

    private static let hour: Int64 = 3_600_000_000
    /// 2026-10-01 is day 20,727: 56 years of 365 days and 14 leap days are 20,454, and 273 days of 2026.
    private static let october = 20_727 * 24 * hour

    static let moments = [
        Moment(text: "today", expected: .ago(0, .day)),
        Moment(text: "yesterday", expected: .ago(1, .day)),
        Moment(text: "this-month", expected: .ago(0, .month)),
        Moment(text: "last-month", expected: .ago(1, .month)),
        Moment(text: "-7d", expected: .ago(7, .day)),
        Moment(text: "-24h", expected: .ago(24, .hour)),
        Moment(text: "2026-10-01", expected: .clock(Timestamp(microseconds: october))),
        Moment(text: "2026-10-01T15:00", expected: .clock(Timestamp(microseconds: october + 15 * hour))),
        Moment(text: "2026-10-01 15:00:00", expected: .clock(Timestamp(microseconds: october + 15 * hour))),
        Moment(text: "2026-10-01T15:00Z", expected: .instant(Timestamp(microseconds: october + 15 * hour))),
        Moment(text: "2026-10-01T15:00:00Z", expected: .instant(Timestamp(microseconds: october + 15 * hour))),
        Moment(text: "2026-10-01T15:00+02:00", expected: .instant(Timestamp(microseconds: october + 13 * hour))),
        // A quarter past is a whole hour where clocks are a quarter of an hour off.
        Moment(text: "2026-10-01T15:30-03:30", expected: .instant(Timestamp(microseconds: october + 19 * hour))),
    ]

    @Test(arguments: moments) func `a moment is read`(_ moment: Moment) throws {
        #expect(try UsageMoment(moment.text, parameter: "from") == moment.expected)
    }

    /// By the clocks of UTC, at a moment and what it must be.
    static let inUTC: [(String, now: String, expected: String)] = [
        ("today", "2026-10-01T00:00:00Z", "2026-10-01T00:00:00Z"),
        ("today", "2026-10-01T23:59:59Z", "2026-10-01T00:00:00Z"),
        ("yesterday", "2026-03-01T12:00:00Z", "2026-02-28T00:00:00Z"),
        ("this-month", "2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z"),
        ("last-month", "2026-12-31T23:59:59Z", "2026-11-01T00:00:00Z"),
        ("last-month", "2026-01-01T00:00:00Z", "2025-12-01T00:00:00Z"),
        ("-0d", "2026-10-01T15:30:00Z", "2026-10-01T00:00:00Z"),
        ("-7d", "2024-03-04T15:30:00Z", "2024-02-26T00:00:00Z"),
        ("-0h", "2026-10-01T15:30:00Z", "2026-10-01T15:00:00Z"),
        ("-24h", "2026-10-01T15:30:00Z", "2026-09-30T15:00:00Z"),
        ("-2d", "1970-01-01T05:00:00Z", "1969-12-30T00:00:00Z"),
    ]

    @Test(arguments: inUTC) func `a word is a moment of UTC's clocks`(
        _ text: String, _ now: String, _ expected: String
    ) throws {
        let word = try #require(UsageMoment(word: text))
        #expect(word.inUTC(now: try #require(Timestamp(rfc3339: now))).rfc3339 == expected)
    }

    @Test func `the month after December begins in January`() throws {
        let december = try #require(Timestamp(rfc3339: "2026-12-24"))
        #expect(december.month(ago: -1).rfc3339 == "2027-01-01T00:00:00Z")
        #expect(december.month(ago: 24).rfc3339 == "2024-12-01T00:00:00Z")
        #expect(UsageMoment(word: "2026-12-24") == nil && UsageMoment(word: "now") == nil)
    }

    @Test(arguments: [
        "", "tomorrow", "-", "-d", "-7", "-7w", "7d", "--7d", "-1.5h", "-100001h", "2026-02-30", "2026-10",
        "2026-10-01Z",
        "2026-10-01+02:00", "2026-10-01T15", "2026-10-01T24:00", "2026-10-01T15:00+2:00", "2026-10-01T15:00+25:00",
        "2026-10-01T15:00:00ZZ", "2026-10-01T15:00 02:00", "-٣d",
    ]) func `what is no moment says which there are`(_ text: String) {
        let error = #expect(throws: UsageProblem.self) { try UsageMoment(text, parameter: "to") }
        #expect(error?.parameter == "to")
        #expect(error?.reason.hasPrefix("is not a moment; write a date") == true)
    }

    @Test(arguments: ["2026-10-01T15:30", "2026-10-01T15:00:01", "2026-10-01T15:30Z", "2026-10-01T15:00+05:30"])
    func `a moment inside an hour is refused with the reason`(_ text: String) {
        let error = #expect(throws: UsageProblem.self) { try UsageMoment(text, parameter: "from") }
        #expect(error?.reason.contains("usage is kept by the hour") == true)
    }

    @Test func `dimensions are read in their order, each once`() throws {
        #expect(
            try UsageDimension.list("day,tenant,tag:team,upstream_model", parameter: "by")
                == [.day, .tenant, .tag("team"), .upstreamModel])
        for text in ["", "tenant,", "weeks", "tag:", "tenant,tenant", "tag:a,tag:a", "Tenant"] {
            #expect(throws: UsageProblem.self, "\(text)") { try UsageDimension.list(text, parameter: "by") }
        }
        #expect(throws: UsageProblem.self) { try UsageDimension.list("tenant", parameter: "by") { $0.isTime } }
        let nine = (1...9).map { "tag:\($0)" }.joined(separator: ",")
        #expect(throws: UsageProblem.self) { try UsageDimension.list(nine, parameter: "by") }
    }

    @Test(arguments: [
        "UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "America/Port-au-Prince", "Etc/GMT+12", "Etc/GMT-14",
    ]) func `names of time zones are taken`(_ name: String) throws {
        try UsageQuery.checkZone(name, parameter: "timezone")
    }

    /// PostgreSQL would read most of these: as abbreviations, or as rules of POSIX with the sign the other way round.
    @Test(arguments: [
        "", "CET", "MST7MDT", "+02:00", "Europe/Berlin3", "Foo/Bar+3", "Etc/GMT+13", "Europe/", "/Berlin", "Berlin",
        "<+02>-2", "Europe/Berlin,M3.2.0", "utc",
    ]) func `what only looks like a time zone is refused`(_ name: String) {
        let error = #expect(throws: UsageProblem.self) { try UsageQuery.checkZone(name, parameter: "timezone") }
        #expect(error?.parameter == "timezone")
    }
}
