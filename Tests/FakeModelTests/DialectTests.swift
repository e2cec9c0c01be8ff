import Testing
import Wire

@testable import FakeModel

/// What a dialect does in one place where dialects differ.
struct DialectCase<Value: Sendable>: Sendable, CustomTestStringConvertible {
    let dialect: Dialect
    let expected: Value
    var testDescription: String { dialect.rawValue }

    init(_ dialect: Dialect, _ expected: Value) {
        self.dialect = dialect
        self.expected = expected
    }
}

/// Each row of the table of measured behaviours, seen through HTTP.
///
/// The scripted text " 5, 6, 7, 8" has the tokens ` `, `5`, `,`, ` `, `6`, `,`, ` `, `7`, …
@Suite struct DialectTests {
    private static let script = #"{"count": {"slm": [" 5, 6, 7, 8"]}, "smile": {"slm": ["a🙂b"]}}"#
    private static let stopping = #""prompt": "[[count#1]]", "stop": ["zzz", ", 7"]"#

    @Test(arguments: [
        DialectCase(.llamacpp, " 5, 6"), DialectCase(.vllm, " 5, 6"), DialectCase(.sglang, " 5, 6"),
        DialectCase(.openai, " 5, 6"), DialectCase(.transformers, " 5, 6, 7"),
    ])
    func `the stop string is stripped or included, and its tokens count`(row: DialectCase<String>) throws {
        let world = try FakeWorld(row.dialect, script: Self.script)
        let whole = try world.complete("{\(Self.stopping)}").whole
        #expect(String(decoding: whole.text, as: UTF8.self) == row.expected)
        #expect(whole.finishReason == "stop")
        #expect(whole.usage?.completion == 8)
        let streamed = try world.complete(#"{\#(Self.stopping), "stream": true}"#)
        #expect(try streamed.text == row.expected)
    }

    @Test(arguments: [
        DialectCase(.llamacpp, false), DialectCase(.vllm, true), DialectCase(.sglang, false),
        DialectCase(.openai, false), DialectCase(.transformers, false),
    ])
    func `the matched stop string is reported as stop_reason by vLLM alone`(row: DialectCase<Bool>) throws {
        let answer = try FakeWorld(row.dialect, script: Self.script).complete("{\(Self.stopping)}")
        #expect(answer.body.contains(#""stop_reason":", 7""#) == row.expected)
    }

    @Test func `vLLM includes the stop string when asked`() throws {
        let answer = try FakeWorld(.vllm, script: Self.script)
            .complete(#"{\#(Self.stopping), "include_stop_str_in_output": true}"#)
        #expect(try answer.whole.text == Array(" 5, 6, 7".utf8))
    }

    @Test(arguments: [
        DialectCase(.llamacpp, " 5, 6"), DialectCase(.vllm, " 5, 6, "), DialectCase(.sglang, " 5, 6, "),
        DialectCase(.openai, " 5, 6, "), DialectCase(.transformers, " 5, 6, "),
    ])
    func `text held back at the limit is lost in llama.cpp's streams`(row: DialectCase<String>) throws {
        let world = try FakeWorld(row.dialect, script: Self.script)
        let body = #"\#(Self.stopping), "max_tokens": 7"#
        let streamed = try world.complete(#"{\#(body), "stream": true}"#)
        #expect(try streamed.text == row.expected)
        #expect(try streamed.chunks.compactMap(\.finishReason) == ["length"])
        let whole = try world.complete("{\(body)}").whole
        #expect(String(decoding: whole.text, as: UTF8.self) == " 5, 6, ")
    }

    @Test(arguments: [
        DialectCase(.llamacpp, "last last"), DialectCase(.vllm, "none none"), DialectCase(.sglang, "none none"),
        DialectCase(.openai, "none none"), DialectCase(.transformers, "last last"),
    ])
    func `usage in streams of completions, not asked and asked`(row: DialectCase<String>) throws {
        let asked = row.expected == "none none" ? "own" : "last"
        let world = try FakeWorld(row.dialect, script: Self.script)
        let plain = try world.complete(#"{\#(Self.stopping), "stream": true}"#)
        #expect(try usagePlace(plain) == row.expected.split(separator: " ")[0])
        let body = #"{\#(Self.stopping), "stream": true, "stream_options": {"include_usage": true}}"#
        #expect(try usagePlace(try world.complete(body)) == asked)
    }

    @Test(arguments: [
        DialectCase(.llamacpp, "none own"), DialectCase(.vllm, "none own"), DialectCase(.sglang, "none own"),
        DialectCase(.openai, "none own"), DialectCase(.transformers, "last last"),
    ])
    func `usage in streams of chats, not asked and asked`(row: DialectCase<String>) throws {
        let world = try FakeWorld(row.dialect, script: Self.script)
        let messages = #""messages": [{"role": "user", "content": "[[count#1]]"}], "stream": true"#
        let plain = try usagePlace(try world.chat("{\(messages)}"))
        let asked = try usagePlace(try world.chat(#"{\#(messages), "stream_options": {"include_usage": true}}"#))
        #expect("\(plain) \(asked)" == row.expected)
    }

    private func usagePlace(_ answer: Answer) throws -> String {
        let chunks = try answer.chunks
        guard let chunk = chunks.first(where: { $0.usage != nil }) else { return "none" }
        return chunk.choiceCount == 0 ? "own" : chunk.finishReason == nil ? "running" : "last"
    }

    @Test(arguments: [
        DialectCase(.llamacpp, true), DialectCase(.vllm, true), DialectCase(.sglang, true), DialectCase(.openai, true),
        DialectCase(.transformers, false),
    ])
    func `a stream ends with DONE`(row: DialectCase<Bool>) throws {
        let answer = try FakeWorld(row.dialect, script: Self.script).complete(#"{\#(Self.stopping), "stream": true}"#)
        #expect(answer.body.hasSuffix("data: [DONE]\n\n") == row.expected)
    }

    @Test(arguments: [
        DialectCase(.llamacpp, 200), DialectCase(.vllm, 404), DialectCase(.sglang, 200), DialectCase(.openai, 404),
        DialectCase(.transformers, 400),
    ])
    func `an unknown model`(row: DialectCase<Int>) throws {
        #expect(try FakeWorld(row.dialect).complete(#"{"prompt": "x", "model": "nope"}"#).status == row.expected)
    }

    @Test(arguments: [
        DialectCase(.llamacpp, 200), DialectCase(.vllm, 200), DialectCase(.sglang, 200), DialectCase(.openai, 400),
        DialectCase(.transformers, 422),
    ])
    func `an unknown field`(row: DialectCase<Int>) throws {
        #expect(try FakeWorld(row.dialect).complete(#"{"prompt": "x", "guided_regex": "a"}"#).status == row.expected)
    }

    @Test(arguments: [DialectCase(.llamacpp, 200), DialectCase(.vllm, 400), DialectCase(.openai, 400)])
    func `max_tokens 0 and an empty prompt`(row: DialectCase<Int>) throws {
        let world = try FakeWorld(row.dialect)
        let none = try world.complete(#"{"prompt": "x", "max_tokens": 0}"#)
        #expect(none.status == row.expected)
        if none.status == 200 { #expect(try none.whole.usage?.completion == 1) }
        #expect(try world.complete(#"{"prompt": ""}"#).status == row.expected)
    }

    @Test(arguments: [
        DialectCase(.llamacpp, "a\u{FFFD}|a"), DialectCase(.vllm, "a\u{FFFD}|a\u{FFFD}"),
        DialectCase(.sglang, "a\u{FFFD}|a\u{FFFD}"), DialectCase(.openai, "a|a"),
    ])
    func `a character cut by the limit, whole and streamed`(row: DialectCase<String>) throws {
        let world = try FakeWorld(row.dialect, script: Self.script)
        let whole = try world.complete(#"{"prompt": "[[smile#1]]", "max_tokens": 3}"#).whole
        let stream = try world.complete(#"{"prompt": "[[smile#1]]", "max_tokens": 3, "stream": true}"#)
        #expect("\(String(decoding: whole.text, as: UTF8.self))|\(try stream.text)" == row.expected)
        #expect(whole.usage?.completion == 3)
    }

    @Test(arguments: [
        DialectCase(.llamacpp, "exceed_context_size_error"), DialectCase(.vllm, "maximum context length"),
        DialectCase(.sglang, "longer than the model's context length"), DialectCase(.openai, "context_length_exceeded"),
    ])
    func `a prompt that does not fit`(row: DialectCase<String>) throws {
        let world = try FakeWorld(row.dialect, flags: ["--context-window", "4"])
        let answer = try world.complete(#"{"prompt": "one two three four five"}"#)
        #expect(answer.status == 400)
        #expect(answer.body.contains(row.expected))
        #expect(try answer.whole.fault != nil)
    }

    @Test func `a context that fills up ends the answer with length`() throws {
        let world = try FakeWorld(.vllm, script: Self.script, flags: ["--context-window", "12"])
        // The prompt `[[count#1]]` has 8 tokens: `[`, `[`, `count`, `#`, `1`, `]`, `]`, and ` x`.
        let whole = try world.complete(#"{"prompt": "[[count#1]] x"}"#).whole
        #expect(whole.usage?.prompt == 8)
        #expect(whole.usage?.completion == 4)
        #expect(whole.finishReason == "length")
    }

    @Test(arguments: [
        DialectCase(.llamacpp, true), DialectCase(.vllm, true), DialectCase(.sglang, true), DialectCase(.openai, false),
    ])
    func `a running count can be asked for`(row: DialectCase<Bool>) throws {
        let options = #""stream_options": {"continuous_usage_stats": true}, "timings_per_token": true"#
        let strict = row.dialect == .openai ? #""stream_options": {"continuous_usage_stats": true}"# : options
        let world = try FakeWorld(row.dialect, script: Self.script)
        let chunks = try world.complete(#"{"prompt": "[[count#1]]", "stream": true, \#(strict)}"#).chunks
        let counts = chunks.filter { !$0.text.isEmpty }.map { $0.runningTokens ?? $0.usage?.completion }
        #expect(counts.prefix(3) == (row.expected ? [1, 2, 3] : [nil, nil, nil]))
    }
}
