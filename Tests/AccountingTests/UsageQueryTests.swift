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
