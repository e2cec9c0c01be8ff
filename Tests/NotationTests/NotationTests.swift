import Notation
import Testing

@Suite struct QuantityTests {
    struct DurationCase: Sendable, CustomTestStringConvertible {
        let text: String
        let milliseconds: Int?
        var testDescription: String { text }
    }

    @Test(
        "Durations are whole numbers with a unit",
        arguments: [
            DurationCase(text: "250ms", milliseconds: 250),
            DurationCase(text: "30s", milliseconds: 30_000),
            DurationCase(text: "5m", milliseconds: 300_000),
            DurationCase(text: "1h", milliseconds: 3_600_000),
            DurationCase(text: "2d", milliseconds: 172_800_000),
            DurationCase(text: "0s", milliseconds: 0),
            DurationCase(text: "30", milliseconds: nil),
            DurationCase(text: "s", milliseconds: nil),
            DurationCase(text: "", milliseconds: nil),
            DurationCase(text: "-1s", milliseconds: nil),
            DurationCase(text: "1.5s", milliseconds: nil),
            DurationCase(text: "1 s", milliseconds: nil),
            DurationCase(text: "1S", milliseconds: nil),
            DurationCase(text: "٣s", milliseconds: nil),
            DurationCase(text: "99999999999999999999s", milliseconds: nil),
            // 2^63 - 1 ms is 9223372036854775807 ms, one more does not fit.
            DurationCase(text: "9223372036854775808ms", milliseconds: nil),
            DurationCase(text: "9223372036854775s", milliseconds: 9_223_372_036_854_775_000),
            DurationCase(text: "9223372036854776s", milliseconds: nil),
        ])
    func duration(_ test: DurationCase) {
        #expect(Quantity.duration(test.text) == test.milliseconds.map { .milliseconds($0) })
    }

    @Test(
        "Sizes are whole numbers with a binary unit",
        arguments: [
            ("512B", 512), ("64KiB", 65_536), ("4MiB", 4_194_304), ("1GiB", 1_073_741_824), ("0B", 0),
            ("4MB", nil),
            ("4", nil), ("KiB", nil), ("-1B", nil), ("9223372036854775807B", Int.max),
            ("8589934592GiB", nil),
        ] as [(String, Int?)])
    func bytes(_ text: String, _ expected: Int?) {
        #expect(Quantity.bytes(text) == expected)
    }

    @Test(
        "Written quantities read back as the same",
        arguments: ["0ms", "250ms", "90s", "5m", "25h", "7d"])
    func durationRoundTrip(_ text: String) throws {
        let value = try #require(Quantity.duration(text))
        #expect(Quantity.text(value) == text)
    }

    @Test(
        "Written sizes read back as the same",
        arguments: ["0B", "512B", "64KiB", "1025KiB", "4MiB", "1GiB"])
    func byteRoundTrip(_ text: String) throws {
        let value = try #require(Quantity.bytes(text))
        #expect(Quantity.text(bytes: value) == text)
    }
}

@Suite struct NearestNameTests {
    @Test(
        "A near name is found, a far one is not",
        arguments: [
            ("dilect", "dialect"), ("dialetc", "dialect"), ("DIALECT", "dialect"), ("prot", "port"),
            ("hots", "host"),
            ("banana", nil), ("", nil), ("x", nil), (String(repeating: "a", count: 100_000), nil),
        ] as [(String, String?)])
    func nearest(_ typed: String, _ expected: String?) {
        #expect(NearestName.among(["host", "port", "dialect"], to: typed) == expected)
    }

    @Test("Of equally near names the first is taken")
    func tie() {
        #expect(NearestName.among(["bad", "bat"], to: "bax") == "bad")
    }
}
