import Accounting
import Testing

@Suite struct ZonedTimestampTests {
    // 2026-11-24 15:00 UTC: 20,781 days and 15 hours after 1970.
    static let base: Int64 = (20_781 * 86_400 + 15 * 3600) * 1_000_000

    @Test(arguments: [
        ("2026-11-24T15:00:00Z", base), ("2026-11-24T15:00Z", base), ("2026-11-24T17:00+02:00", base),
        ("2026-11-24T15:00:00.5Z", base + 500_000), ("2026-11-24T15:00:00.123456789Z", base + 123_456),
        ("2026-11-24T16:30:00+01:30", base), ("2026-11-24T13:00:00.000001-02:00", base + 1),
        ("2026-11-24T15:00:00+00:00", base), ("2026-11-24 15:00:00z", base),
    ])
    func `a time with a zone is read`(text: String, microseconds: Int64) {
        #expect(Timestamp(zoned: text)?.microseconds == microseconds)
    }

    @Test(arguments: [
        "", "now", "2026-11-24", "2026-11-24T15:00", "2026-11-24T15:00:00", "2026-11-24Z", "2026-11-24T15:00.5Z",
        "2026-11-24T15:00:00.Z", "2026-11-24T15:00:00.1234567890Z", "2026-11-24T15:00:00+0100",
        "2026-11-24T15:00:00+24:00", "2026-11-24T15:00:00+01:60", "2026-11-24T15:00:00 01:00", "2026-11-24T15:00:00.5",
        "2026-11-31T15:00:00.5Z", "2026-11-24T15:00:00+0a:00",
    ])
    func `what is no time is none`(text: String) { #expect(Timestamp(zoned: text) == nil) }

    @Test(arguments: [
        ("a", true), ("unit-tests", true), ("a.b_c-1", true), ("", false), ("-a", false), ("a.", false), ("A", false),
        ("a b", false), (String(repeating: "a", count: 63), true), (String(repeating: "a", count: 64), false),
    ])
    func `a source has a plain name`(text: String, isSource: Bool) { #expect(VerdictRecord.isSource(text) == isSource) }
}
