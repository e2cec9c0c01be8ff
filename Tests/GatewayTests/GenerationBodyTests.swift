import Configuration
import Foundation
import RelayCore
import Testing
import Wire

@testable import Gateway

/// A catalog with one pair, whose servers speak `dialect`.
private func catalog(_ dialect: String, extra: String = "") throws -> Catalog {
    let text = """
        postgres: {url: "host=nowhere"}
        upstreams:
          - {name: small, model: m-small, url: "http://127.0.0.1:1/v1", dialect: \(dialect)\(extra)}
          - {name: large, model: m-large, url: "http://127.0.0.1:2/v1", dialect: \(dialect)\(extra)}
        pairs:
          - {name: main, slm: small, llm: large}
        """
    return Catalog(try GatewayConfiguration.parse(text: text, environment: [:]))
}

private func request(_ json: String, _ endpoint: Endpoint = .chat) throws -> InferenceRequest {
    var parser = JSONParser()
    return try InferenceRequest(parsing: Array(json.utf8), endpoint: endpoint, with: &parser)
}

private struct Written {
    let fields: [String: Any]

    init(
        _ json: String, dialect: String, extra: String = "", endpoint: Endpoint = .chat, prompt: PromptBook.Prompt,
        view: String = "", forbidden: Bool = false, stop: [String] = [], choice: Int = 0
    ) throws {
        let upstream = try catalog(dialect, extra: extra).upstreams[0]
        let generation = Generation(
            role: .slm, maxTokens: 7, commandsForbidden: forbidden, stop: stop.map { Array($0.utf8) })
        let body = GenerationBody(request: try request(json, endpoint), upstream: upstream, tags: CommandTags())
            .write(generation, prompt: prompt, view: Array(view.utf8), maxTokens: 7, choice: choice)
        fields = try #require(try JSONSerialization.jsonObject(with: Data(body)) as? [String: Any])
    }

    func text(_ name: String) -> String? { fields[name] as? String }
}

private let hello = #"{"model":"relay","messages":[{"role":"user","content":"Hi"}],"temperature":0.5,"top_k":3}"#

@Suite struct GenerationBodyTests {
    @Test func `T8: the view is appended to the prompt, with the server's own model name and our limits`() throws {
        let body = try Written(
            hello, dialect: "openai", prompt: .text(Array("Q: é\n".utf8)), view: "A <call>", stop: ["</call>"])
        #expect(body.text("prompt") == "Q: é\nA <call>")
        #expect(body.text("model") == "m-small")
        #expect(body.fields["max_tokens"] as? Int == 7)
        #expect(body.fields["stop"] as? [String] == ["</call>"])
        #expect(body.fields["stream"] as? Bool == true)
        #expect(body.fields["n"] == nil)
    }

    @Test func `fields that are not ours go on untouched`() throws {
        let body = try Written(hello, dialect: "openai", prompt: .text([]))
        #expect(body.fields["temperature"] as? Double == 0.5)
        #expect(body.fields["top_k"] as? Int == 3)
    }

    @Test(
        arguments: [
            ("llamacpp", "timings_per_token", nil), ("vllm", nil, true), ("sglang", nil, true), ("openai", nil, nil),
        ] as [(String, String?, Bool?)])
    func `each dialect asks for its running count`(_ dialect: String, _ field: String?, _ continuous: Bool?) throws {
        let body = try Written(hello, dialect: dialect, prompt: .text([]))
        let options = try #require(body.fields["stream_options"] as? [String: Any])
        #expect(options["include_usage"] as? Bool == true)
        #expect(options["continuous_usage_stats"] as? Bool == continuous)
        #expect((body.fields["timings_per_token"] as? Bool) == (field == nil ? nil : true))
    }

    @Test func `the operator can turn the running count off, and on for a plain server`() throws {
        let off = try Written(hello, dialect: "llamacpp", extra: ", running_usage: false", prompt: .text([]))
        #expect(off.fields["timings_per_token"] == nil)
        let on = try Written(hello, dialect: "openai", extra: ", running_usage: true", prompt: .text([]))
        #expect((on.fields["stream_options"] as? [String: Any])?["continuous_usage_stats"] as? Bool == true)
    }

    @Test(arguments: [("llamacpp", "grammar"), ("vllm", "bad_words"), ("sglang", "ebnf")])
    func `T4: commands are forbidden by what the server has`(_ dialect: String, _ field: String) throws {
        let fields = ["grammar", "bad_words", "ebnf", "logit_bias"]
        let free = try Written(hello, dialect: dialect, prompt: .text([]))
        #expect(fields.allSatisfy { free.fields[$0] == nil })
        let forbidden = try Written(hello, dialect: dialect, prompt: .text([]), forbidden: true)
        #expect(fields.filter { forbidden.fields[$0] != nil } == [field])
    }

    @Test func `T4: a plain server has nothing to forbid with, and forbid: none uses nothing`() throws {
        let plain = try Written(hello, dialect: "openai", prompt: .text([]), forbidden: true)
        #expect(plain.fields["bad_words"] == nil && plain.fields["grammar"] == nil && plain.fields["ebnf"] == nil)
        let none = try Written(hello, dialect: "vllm", extra: ", forbid: none", prompt: .text([]), forbidden: true)
        #expect(none.fields["bad_words"] == nil)
    }

    @Test(arguments: [("vllm", true), ("sglang", true), ("llamacpp", nil)] as [(String, Bool?)])
    func `chat goes on with a final assistant message`(_ dialect: String, _ flag: Bool?) throws {
        let body = try Written(hello, dialect: dialect, prompt: .chat, view: "So \"far\"")
        let messages = try #require(body.fields["messages"] as? [[String: String]])
        #expect(messages == [["role": "user", "content": "Hi"], ["role": "assistant", "content": "So \"far\""]])
        #expect(body.fields["continue_final_message"] as? Bool == flag)
        #expect(body.fields["add_generation_prompt"] as? Bool == flag.map { !$0 })
    }

    @Test func `a first turn through chat has the caller's messages only`() throws {
        let body = try Written(hello, dialect: "vllm", prompt: .chat)
        #expect((body.fields["messages"] as? [Any])?.count == 1)
        #expect(body.fields["continue_final_message"] == nil)
    }

    @Test func `several answers get seeds that differ`() throws {
        let json = #"{"model":"m","prompt":"x","seed":40,"n":3}"#
        let seeds = try (0..<3).map { choice in
            try Written(json, dialect: "openai", endpoint: .completions, prompt: .text([]), choice: choice).fields[
                "seed"]
                as? Int
        }
        #expect(seeds == [40, 41, 42])
    }

    @Test func `a whole answer with tools is asked for as a whole`() throws {
        let json =
            #"{"model":"llm","messages":[{"role":"user","content":"Hi"}],"tools":[{"type":"function","function":{"name":"f"}}]}"#
        let body = try Written(json, dialect: "vllm", prompt: .chat)
        #expect(body.fields["stream"] == nil)
        #expect((body.fields["tools"] as? [Any])?.count == 1)
    }
}

@Suite struct ChatTemplateTests {
    private let messages = [
        ChatMessage(role: .developer, text: Array("Be brief.".utf8)),
        ChatMessage(role: .user, text: Array("Hi".utf8)),
    ]

    /// Expected texts: the templates as the models' own tokenizer configurations define them.
    @Test(arguments: [
        (
            "chatml",
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
        ),
        (
            "llama3",
            "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
                + "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
        ),
        ("plain", "System: Be brief.\n\nUser: Hi\n\nAssistant:"),
    ])
    func `messages are rendered as the model was trained`(_ name: String, _ expected: String) throws {
        let template = try #require(UpstreamConfiguration.Template(rawValue: name))
        #expect(ChatTemplate.render(messages, template).map { String(decoding: $0, as: UTF8.self) } == expected)
    }

    @Test func `only the server knows its own template`() {
        #expect(ChatTemplate.render(messages, .server) == nil)
    }

    @Test func `prompted: the last user message is the question behind the worked examples`() {
        let text = String(decoding: PromptedExamples(nil).render(messages), as: UTF8.self)
        #expect(text.hasSuffix("The answer is 80.\n\nBe brief.\n\nQuestion: Hi\nAnswer:"))
        #expect(text.split(separator: "\nQuestion: ").count == 5, "a head, three examples, the question")
    }
}

@Suite struct RouteTests {
    @Test(arguments: [
        ("/v1/chat/completions", "POST", true), ("/v1/chat/completions", "GET", false), ("/v1/models", "GET", true),
        ("/v1/models/relay", "GET", true), ("/v1/models/relay", "DELETE", false), ("/health/liveness", "HEAD", true),
    ])
    func `a path takes its own methods`(_ path: String, _ method: String, _ accepts: Bool) {
        #expect(Route(path)?.accepts(method) == accepts)
    }

    @Test(arguments: ["/", "/v1", "/v1/models/", "/v1/chat/completions/", "/v1/embeddings", "//v1/models"])
    func `other paths are not served`(_ path: String) {
        #expect(Route(path) == nil)
    }
}
