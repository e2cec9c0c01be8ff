import Accounting
import Foundation
import Testing
import Wire

@testable import Traces

/// A line that is whole, of which tests change parts.
enum SampleLine {
    /// 1,723,000,000,000 ms are 0x01912acd8e00.
    static let id = "01912acd-8e00-7000-8000-000000000001"

    static let text =
        #"{"version":2,"request_id":"01912acd-8e00-7000-8000-000000000001","tenant":"acme","model":"relay","#
        + #""policy":{"name":"relay","version":"v1","propensity":null},"endpoint":"chat","stream":true,"#
        + #""arrived_ms":1723000000000.25,"finished_ms":1723000002500,"outcome":"completed","finish":"stop","#
        + #""error":null,"degraded":null,"choices":1,"calls":1,"malformed":0,"prompt_tokens":120,"slm_tokens":109,"#
        + #""llm_tokens":100,"command_tokens":8,"visible_tokens":201,"tags":{"team":"a \"b\"","user":"u"},"segments":["#
        + #"{"role":"slm","choice":0,"seq":0,"attempt":1,"model":"small","upstream":"s","requested":100,"granted":null,"#
        + #""tokens":48,"command_tokens":8,"finish":"call","input_tokens":120,"cached_input_tokens":0,"#
        + #""cache_write_tokens":null,"source":"reported","command_source":"counted","cost_pico":null,"#
        + #""started_ms":0.5,"ms":260.5,"first_token_ms":31.2,"error":null},"#
        + #"{"role":"llm","choice":0,"seq":1,"attempt":1,"model":"large","upstream":"l","requested":100,"granted":100,"#
        + #""tokens":100,"command_tokens":0,"finish":"length","input_tokens":160,"cached_input_tokens":112,"#
        + #""cache_write_tokens":5,"source":"reported","command_source":"counted","cost_pico":123,"#
        + #""started_ms":261,"ms":1830,"first_token_ms":null,"error":null},"#
        + #"{"role":"slm","choice":0,"seq":2,"attempt":1,"model":"small","upstream":"s","requested":null,"granted":null,"#
        + #""tokens":61,"command_tokens":0,"finish":"stop","input_tokens":268,"cached_input_tokens":160,"#
        + #""cache_write_tokens":null,"source":"estimated","command_source":"counted","cost_pico":null,"#
        + #""started_ms":2091.125,"ms":340.1,"first_token_ms":12,"error":null}],"#
        + #""verdicts":[{"choice":0,"source":"tests","verdict":0.5,"judged_ms":1723000009999.001,"note":"half"}],"#
        + #""counterfactual":null}"#
}

@Suite struct TraceLineTests {
    private func parse(_ text: String) throws(TraceFault) -> TraceLine {
        var parser = JSONParser()
        return try TraceLine(
            parsing: Array(text.utf8), tenant: UUID7(high: 1, low: 1), key: UUID7(high: 1, low: 2), with: &parser)
    }

    @Test func `a whole line is read to the microsecond`() throws {
        let line = try parse(SampleLine.text)
        #expect(line.tenantName == "acme")
        #expect(line.request.id.description == SampleLine.id)
        #expect(line.request.tenant == UUID7(high: 1, low: 1) && line.request.key == UUID7(high: 1, low: 2))
        #expect(line.request.started.microseconds == 1_723_000_000_000_250)
        #expect(line.request.finished.microseconds == 1_723_000_002_500_000)
        #expect(line.request.tags == [RequestTag(key: "team", value: "a \"b\""), RequestTag(key: "user", value: "u")])
        // The command's n stands with the LLM's segment only.
        #expect(line.request.segments.map(\.requested) == [nil, 100, nil])
        #expect(line.request.segments.map(\.cacheWriteTokens) == [nil, 5, nil])
        #expect(
            line.request.segments.map(\.started.microseconds) == [
                1_723_000_000_000_750, 1_723_000_000_261_250, 1_723_000_002_091_375,
            ])
        #expect(line.request.segments.map(\.firstTokenMicroseconds) == [31_200, nil, 12_000])
        #expect(line.verdicts.map(\.judged.microseconds) == [1_723_000_009_999_001])
        #expect(line.verdicts.map(\.verdict) == [0.5])
    }

    @Test(arguments: [
        (#""version":2"#, #""version":1"#, "version is 1, this program reads 2"),
        (#""version":2"#, #""version":3"#, "version is 3, this program reads 2"),
        (#""version":2"#, #""version":"2""#, "version must be a whole number"),
        ("01912acd-8e00", "01912acd-8e01", "request_id must carry the milliseconds of arrived_ms"),
        ("01912acd-8e00", "x", "request_id must be a UUID"),
        (#""tenant":"acme""#, #""tenant":7"#, "tenant must be a text"),
        (#""policy":{"name":"relay","#, #""policy":{"#, "policy.name must be a text"),
        (#""propensity":null"#, #""propensity":0"#, "policy.propensity must be above 0"),
        (#""propensity":null"#, #""propensity":1.5"#, "policy.propensity must be above 0"),
        (#""endpoint":"chat""#, #""endpoint":"images""#, "endpoint must be chat or completions"),
        (#""stream":true"#, #""stream":1"#, "stream must be true or false"),
        ("1723000002500", "1722999999999", "finished_ms must not be before arrived_ms"),
        (#""outcome":"completed""#, #""outcome":"done""#, "outcome must be completed or"),
        (#""choices":1"#, #""choices":0"#, "choices must be a whole number from 1"),
        (#""calls":1"#, #""calls":-1"#, "calls must be a whole number from 0"),
        (#""calls":1"#, #""calls":9000000000000001"#, "calls must be a whole number from 0"),
        (#""slm_tokens":109"#, #""slm_tokens":108"#, "slm_tokens is 108, its segments have 109"),
        (#""llm_tokens":100"#, #""llm_tokens":101"#, "llm_tokens is 101, its segments have 100"),
        (#""user":"u""#, #""user":["u"]"#, "tags.user must be a text"),
        (#""user":"u""#, #""team":"u""#, "tags.team is there twice"),
        (#""user":"u""#, #""":"u""#, "tags. must have a name of 1 to 64 characters: shorten it"),
        (
            #""name":"relay""#, "\"name\":\"\(String(repeating: "n", count: 257))\"",
            "policy.name must have at most 256 bytes"
        ),
        (
            #""model":"large""#, "\"model\":\"\(String(repeating: "é", count: 129))\"",
            "segments[1].model must have at most 256"
        ),
        (
            #""upstream":"l""#, "\"upstream\":\"\(String(repeating: "u", count: 257))\"",
            "segments[1].upstream must have at"
        ),
        (#""role":"llm""#, #""role":"xlm""#, "segments[1].role must be slm or llm"),
        (
            #""command_tokens":8,"fin"#, #""command_tokens":49,"fin"#,
            "segments[0].command_tokens is 49, the segment has 48"
        ),
        (#""seq":2"#, #""seq":3"#, "segments[2].seq leaves a gap"),
        (#""seq":2"#, #""seq":1"#, "segments[2] has the choice, seq and attempt of an earlier segment"),
        (#""source":"estimated""#, #""source":"guessed""#, "segments[2].source must be reported or"),
        (#""ms":1830"#, #""ms":-1"#, "segments[1].ms must be a number of milliseconds"),
        (#""source":"tests""#, #""source":"Tests""#, "verdicts[0].source must be"),
        (#""verdict":0.5"#, #""verdict":1.5"#, "verdicts[0].verdict must be"),
        (#"[{"choice":0,"source":"tests""#, #"[{"choice":1,"source":"tests""#, "verdicts[0].choice must be below"),
        ("}", "", "is no JSON"), (#"{"version""#, #"[{"version""#, "is no JSON"),
    ])
    func `a bad member is named`(part: String, replacement: String, message: String) throws {
        let range = try #require(SampleLine.text.range(of: part))
        let text = SampleLine.text.replacingCharacters(in: range, with: replacement)
        let fault = #expect(throws: TraceFault.self) { try parse(text) }
        #expect(fault?.description.hasPrefix(message) == true, "\(fault?.description ?? "none")")
    }

    @Test func `tags have the bounds that served requests have`() throws {
        func line(_ tags: [(key: String, value: String)]) throws -> TraceLine {
            let text = tags.map { "\"\($0.key)\":\"\($0.value)\"" }.joined(separator: ",")
            let range = try #require(SampleLine.text.range(of: #""team":"a \"b\"","user":"u""#))
            return try parse(SampleLine.text.replacingCharacters(in: range, with: text))
        }
        func fault(_ tags: [(key: String, value: String)]) -> String? {
            #expect(throws: TraceFault.self) { try line(tags) }?.description
        }
        let long = String(repeating: "\u{4E00}", count: 64)
        let text = String(repeating: "\u{1F980}", count: 512)
        let most = (1...64).map { (key: "\($0)" + long.dropFirst("\($0)".count), value: text) }
        #expect(try line(most).request.tags.count == 64)
        #expect(
            fault(most + [(key: "k", value: "")]) == "tags must have at most 64 members: leave out what nobody asks for"
        )
        #expect(
            fault([(key: long + "x", value: "")])?.hasSuffix("must have a name of 1 to 64 characters: shorten it")
                == true)
        #expect(
            fault([(key: "k", value: text + "x")])
                == "tags.k must have at most 512 characters: shorten it, or leave it out")
    }

    @Test func `lines come out whole, byte by byte and joined`() throws {
        let text = Array("a\n\nbc\r\nd".utf8)
        for size in [1, 2, 3, text.count] {
            var reader = LineReader()
            var lines: [String] = []
            for start in stride(from: 0, to: text.count, by: size) {
                for line in try reader.read(Array(text[start..<min(text.count, start + size)])) {
                    lines.append("\(line.number) \(String(decoding: line.bytes, as: UTF8.self))")
                }
            }
            if let line = reader.finish() {
                lines.append("\(line.number) \(String(decoding: line.bytes, as: UTF8.self))")
            }
            #expect(lines == ["1 a", "3 bc", "4 d"], "\(size)")
        }
    }
}
