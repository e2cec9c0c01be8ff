import Testing
import Wire

@testable import FakeModel

@Suite struct ScriptTests {
    @Test(arguments: [
        (#"{"a": {"slm": [5]}}"#, "a.slm[0]: a turn is a string or an object"),
        (#"{"a": {"slm": ["x", {"txt": "y"}]}}"#, "a.slm[1]: unknown key txt"),
        (#"{"a": {"slm": [{"faults": {"explode": 1}}]}}"#, "a.slm[0]: unknown fault explode"),
        (#"{"a": {"slm": [{"usage": "odd"}]}}"#, "a.slm[0]: usage is missing, zero, x100, negative, string or huge"),
        (#"{"a": {"slm": [{"faults": {"endless": true}}]}}"#, "a.slm[0]: an endless turn needs a text"),
        (#"{"a": {"king": []}}"#, #"a: expected lists under "slm" and "llm""#),
    ])
    func `a script that is wrong says where`(text: String, message: String) {
        #expect(throws: ScriptError(message: message)) { try Script(Array(text.utf8)) }
    }

    @Test(
        arguments: [
            ("x [[name#7]] y", "name#7"), ("[[a]][[b]]", "a"), ("[[[a]]", "a"), ("[[a]", nil), ("[a]]", nil),
            ("[[", nil),
            ("", nil),
        ] as [(String, String?)])
    func `the first marker counts`(prompt: String, marker: String?) {
        #expect(Script.marker(in: Array(prompt.utf8)) == marker)
    }

    @Test(
        arguments: [
            ("missing", nil), ("zero", 0), ("x100", 300), ("negative", nil), ("string", nil), ("huge", nil),
        ] as [(String, Int?)])
    func `a lie about usage is told and does not reach the log`(lie: String, completion: Int?) throws {
        // Two words and the end of the sequence: 3 tokens.
        let world = try FakeWorld(.vllm, script: #"{"a": {"slm": [{"text": "one two", "usage": "\#(lie)"}]}}"#)
        #expect(try world.complete(#"{"prompt": "[[a#1]]"}"#).whole.usage?.completion == completion)
        #expect(try world.fetch("/fake/log").body.contains(#""generated_tokens":3"#))
    }

    @Test(arguments: [
        (#""status": 503"#, 503, ""), (#""status": 500, "body": "<html>""#, 500, "<html>"),
        (#""context_exceeded": true"#, 400, "maximum context length"), (#""end_after": 1"#, 200, "one"),
        (#""garbage_after": 1"#, 200, "oops"), (#""error_after": 1"#, 200, "scripted failure in the stream"),
        (#""overrun": 1"#, 200, "three"), (#""long_line": 100000"#, 200, "xxxxxxxx"),
    ])
    func `faults`(fault: String, status: Int, contains: String) throws {
        let script = #"{"a": {"slm": [{"text": "one two three", "faults": {\#(fault)}}]}}"#
        let answer = try FakeWorld(.vllm, script: script).complete(
            #"{"prompt": "[[a#1]]", "stream": true, "max_tokens": 2}"#)
        #expect(answer.status == status)
        #expect(answer.body.contains(contains))
    }

    @Test(arguments: ["hang_before\": true", "hang_after\": 1", "reset_after\": 1", "reset_after\": 0"])
    func `faults that leave the answer unfinished`(fault: String) throws {
        let script = #"{"a": {"slm": [{"text": "one two three", "faults": {"\#(fault)}}]}}"#
        let answer = try FakeWorld(.vllm, script: script).complete(#"{"prompt": "[[a#1]]", "stream": true}"#)
        #expect(answer.error != nil)
    }

    @Test(arguments: [
        (["--dialect", "ollama"], "--dialect ollama: expected one of llamacpp, vllm, sglang, openai, transformers"),
        (["--token-delay", "5"], "--token-delay 5: expected a time such as 250us, 5ms or 1s"),
        (["--done", "maybe"], "--done maybe: expected yes or no"),
        (["--port", "70000"], "--port 70000: expected a number"),
        (["--color", "red"], "unknown flag --color"), (["--role"], "expected --flag value at --role"),
    ])
    func `a flag that is wrong is named`(flags: [String], message: String) {
        #expect(throws: OptionError(message: message)) { try Options(flags) }
    }
}
