import Testing
import Wire

@testable import FakeModel

/// A chat that ends with an assistant's message: continued, or answered with a new turn.
@Suite struct ChatTests {
    private static let messages = #"""
        "messages": [{"role": "user", "content": "Capital?"}, {"role": "assistant", "content": "It is"}],
        "max_tokens": 6, "seed": 3
        """#
    private static let flags = #""continue_final_message": true, "add_generation_prompt": false"#

    /// What the model writes after a prompt, asked for without a chat.
    private func continuation(_ dialect: Dialect, isContinued: Bool) throws -> String {
        let turn = isContinued ? "" : "<|im_end|>\\n<|im_start|>assistant\\n"
        let prompt = "<|im_start|>user\\nCapital?<|im_end|>\\n<|im_start|>assistant\\nIt is" + turn
        let answer = try FakeWorld(dialect).complete(#"{"prompt": "\#(prompt)", "max_tokens": 6, "seed": 3}"#)
        return String(decoding: try answer.whole.text, as: UTF8.self)
    }

    @Test(arguments: [
        DialectCase(.llamacpp, true), DialectCase(.vllm, false), DialectCase(.sglang, false),
        DialectCase(.openai, false), DialectCase(.transformers, false),
    ])
    func `without flags only llama.cpp continues`(row: DialectCase<Bool>) throws {
        let expected = try continuation(row.dialect, isContinued: row.expected)
        let answer = try FakeWorld(row.dialect).chat(#"{\#(Self.messages), "stream": true}"#)
        #expect(try answer.text == expected)
    }

    @Test(arguments: [
        DialectCase(.llamacpp, 200), DialectCase(.vllm, 200), DialectCase(.sglang, 200), DialectCase(.openai, 400),
        DialectCase(.transformers, 422),
    ])
    func `with both flags the message is continued where they are known`(row: DialectCase<Int>) throws {
        let answer = try FakeWorld(row.dialect).chat(#"{\#(Self.messages), \#(Self.flags), "stream": true}"#)
        #expect(answer.status == row.expected)
        guard row.expected == 200 else { return }
        #expect(try answer.text == continuation(row.dialect, isContinued: true))
    }

    @Test func `llama.cpp repeats the prefill in a whole answer alone`() throws {
        let world = try FakeWorld(.llamacpp)
        let expected = try continuation(.llamacpp, isContinued: true)
        #expect(try world.chat("{\(Self.messages)}").whole.text == Array(("It is" + expected).utf8))
        #expect(try world.chat(#"{\#(Self.messages), "stream": true}"#).text == expected)
    }

    @Test(arguments: [Dialect.llamacpp, .vllm])
    func `one flag alone is refused`(dialect: Dialect) throws {
        let body = #"{\#(Self.messages), "continue_final_message": true}"#
        #expect(try FakeWorld(dialect).chat(body).status == 400)
    }

    @Test func `llama.cpp's template route leaves the last turn open`() throws {
        let answer = try FakeWorld(.llamacpp).fetch("/apply-template", "{\(Self.messages)}")
        let prompt = #"{"prompt":"<|im_start|>user\nCapital?<|im_end|>\n<|im_start|>assistant\nIt is"}"#
        #expect(answer.body == prompt)
    }
}
