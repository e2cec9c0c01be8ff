import Foundation
import Synchronization
import Telemetry
import Testing

/// Keeps what a logger writes.
private final class Lines: Sendable {
    private let lines = Mutex<[String]>([])

    func append(_ line: [UInt8]) {
        lines.withLock { $0.append(String(decoding: line, as: UTF8.self)) }
    }
    var all: [String] { lines.withLock { $0 } }
}

/// 2026-11-23T21:05:30.123Z: day 20,780 after 1970-01-01, 75,930 s into the day.
private let moment = Timestamp(milliseconds: (20_780 * 86_400 + 75_930) * 1000 + 123)

private func makeLogger(_ level: LogLevel = .info, _ format: LogFormat = .text) -> (Logger, Lines) {
    let lines = Lines()
    return (
        Logger(level: level, format: format, clock: { moment }, sink: { lines.append($0) }), lines
    )
}

@Suite struct LoggerTests {
    @Test("A text line has time, level, message and fields in order")
    func textLine() {
        let (logger, lines) = makeLogger()
        logger.info(
            "listening",
            ["port": 8080, "host": "127.0.0.1", "tls": false, "took": .duration(.microseconds(12_345))])
        #expect(
            lines.all == [
                "2026-11-23T21:05:30.123Z info    listening port=8080 host=127.0.0.1 tls=false took=12.345ms\n"
            ])
    }

    @Test("A JSON line is one object, durations are in milliseconds with the unit in the key")
    func jsonLine() {
        let (logger, lines) = makeLogger(.info, .json)
        logger.error(
            "call failed", ["upstream": "large", "took": .duration(.milliseconds(-5)), "attempt": 2])
        let expected =
            #"{"time":"2026-11-23T21:05:30.123Z","level":"error","message":"call failed","#
            + #""upstream":"large","took_ms":-5.000,"attempt":2}"# + "\n"
        #expect(lines.all == [expected])
    }

    @Test(
        "Levels below the logger's are not written and their fields are not evaluated",
        arguments: LogLevel.allCases)
    func levels(_ level: LogLevel) {
        let (logger, lines) = makeLogger(level)
        var evaluated = 0
        func fields() -> LogFields {
            evaluated += 1
            return [:]
        }
        for written in LogLevel.allCases { logger.log(written, "line", fields()) }
        let expected = LogLevel.allCases.count { $0 >= level }
        #expect(lines.all.count == expected)
        #expect(evaluated == expected)
    }

    @Test("A child logger adds its fields before the line's own")
    func context() {
        let (logger, lines) = makeLogger()
        logger.with(["request": "r1"]).with(["tenant": "t"]).info("done", ["tokens": 3])
        #expect(lines.all == ["2026-11-23T21:05:30.123Z info    done request=r1 tenant=t tokens=3\n"])
    }

    struct InjectionCase: Sendable, CustomTestStringConvertible {
        let name: String
        let value: String
        let text: String
        var testDescription: String { name }
    }

    static let injections = [
        InjectionCase(name: "line feed", value: "a\nb", text: #""a\nb""#),
        InjectionCase(name: "carriage return", value: "a\rb", text: #""a\rb""#),
        InjectionCase(name: "CRLF", value: "a\r\nlevel=error", text: #""a\r\nlevel=error""#),
        InjectionCase(name: "forged field", value: "a admin=true", text: #""a admin=true""#),
        InjectionCase(name: "quote", value: #"a" b="c"#, text: #""a\" b=\"c""#),
        InjectionCase(name: "backslash", value: #"a\nb"#, text: #""a\\nb""#),
        InjectionCase(name: "NUL", value: "a\0b", text: #""a\u0000b""#),
        InjectionCase(name: "terminal escape", value: "\u{1B}[2J", text: #""\u001b[2J""#),
        InjectionCase(name: "C1 control", value: "\u{9B}2J", text: #""\u009b2J""#),
        InjectionCase(name: "line separator", value: "a\u{2028}b", text: #""a\u2028b""#),
        InjectionCase(name: "right-to-left override", value: "a\u{202E}b", text: #""a\u202eb""#),
        InjectionCase(name: "empty", value: "", text: #""""#),
        InjectionCase(name: "plain", value: "größer", text: "größer"),
    ]

    @Test("Values cannot end a line, hide text or forge a field", arguments: injections)
    func textInjection(_ test: InjectionCase) {
        let (logger, lines) = makeLogger()
        logger.info("got", ["value": .string(test.value)])
        #expect(lines.all == ["2026-11-23T21:05:30.123Z info    got value=\(test.text)\n"])
    }

    @Test("A JSON line parses back to the value and is one line", arguments: injections)
    func jsonInjection(_ test: InjectionCase) throws {
        let (logger, lines) = makeLogger(.info, .json)
        logger.info("got", ["value": .string(test.value)])
        let line = try #require(lines.all.first)
        #expect(line.utf8.filter { $0 == UInt8(ascii: "\n") }.count == 1)
        let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
        #expect(object?["value"] as? String == test.value)
    }

    @Test(
        "A line is at most 4096 bytes, whole, and says what is missing", arguments: LogFormat.allCases)
    func bounded(_ format: LogFormat) throws {
        let (logger, lines) = makeLogger(.info, format)
        // Control characters grow sixfold when escaped.
        let long = String(repeating: "\u{1}", count: 100_000)
        logger.info("long", ["a": .string(long), "b": .string(long), "c": 7])
        let line = try #require(lines.all.first)
        #expect(line.utf8.count <= 4096)
        #expect(line.hasSuffix("\n"))
        #expect(line.contains("truncated"))
        if format == .json {
            let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
            #expect(object?["truncated"] as? Bool == true)
            #expect(object?["c"] as? Int == 7)
        }
    }

    @Test("A long value is cut at 1024 bytes between characters")
    func longValue() throws {
        let (logger, lines) = makeLogger()
        logger.info("long", ["a": .string(String(repeating: "é", count: 600))])
        #expect(
            lines.all == [
                "2026-11-23T21:05:30.123Z info    long a=\(String(repeating: "é", count: 512))…\n"
            ])
    }

    @Test("Durations that do not fit do not trap")
    func hugeDuration() {
        let (logger, lines) = makeLogger()
        logger.info(
            "x", ["took": .duration(.seconds(Int64.max)), "back": .duration(.seconds(Int64.min))])
        #expect(
            lines.all.first?.contains("took=9223372036854775.807ms back=-9223372036854775.807ms") == true)
    }

    @Test("The sink gets one whole line for each call, from any thread")
    func oneCallForEachLine() async {
        let (logger, lines) = makeLogger()
        await withTaskGroup(of: Void.self) { group in
            for index in 0..<200 { group.addTask { logger.info("line", ["index": .integer(index)]) } }
        }
        #expect(lines.all.count == 200)
        #expect(lines.all.allSatisfy { $0.hasSuffix("\n") && $0.split(separator: "\n").count == 1 })
    }
}

@Suite struct StandardErrorTests {
    @Test("By default lines go to standard error with the system's time")
    func standardError() async throws {
        let before = Date()
        let result = try await #require(processExitsWith: .success, observing: [\.standardErrorContent]) {
            Logger(format: .json).warning("budget is low", ["tokens": 5])
        }
        let after = Date()
        let text = String(decoding: result.standardErrorContent, as: UTF8.self)
        let line = try #require(text.split(separator: "\n").first { $0.contains("budget is low") })
        let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
        #expect(object?["tokens"] as? Int == 5)
        let time = try #require(object?["time"] as? String)
        let date = try Date(time, strategy: Date.ISO8601FormatStyle(includingFractionalSeconds: true))
        // The line has whole milliseconds, cut off; a process may take any time to start.
        #expect(date > before - 0.001 && date <= after)
    }
}

@Suite struct TimestampTests {
    @Test(
        "ISO 8601 in UTC with milliseconds",
        arguments: [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_799_999, "2000-02-29T23:59:59.999Z"),
            (1_709_164_800_000, "2024-02-29T00:00:00.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (1_000_000_000_000, "2001-09-09T01:46:40.000Z"),
        ] as [(Int64, String)])
    func text(_ milliseconds: Int64, _ expected: String) {
        #expect(Timestamp(milliseconds: milliseconds).text == expected)
    }

    @Test("Every day of 800 years agrees with Foundation's calendar")
    func everyDay() throws {
        let format = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
        // Day -135,140 is 1600-01-01; every seventh day keeps the test short, 7 shares no factor with months;
        // half a second is exact in binary, so Foundation's floating point does not round it.
        for day in stride(from: Int64(-135_140), to: 157_000, by: 7) {
            let milliseconds = day * 86_400_000 + 45_296_500
            let date = Date(timeIntervalSince1970: Double(milliseconds) / 1000)
            #expect(Timestamp(milliseconds: milliseconds).text == date.formatted(format))
        }
    }
}
