import Foundation
import Testing

@testable import Wire

@Suite("What the caller sees")
struct ResponseTests {
    private let report = RelayReport(
        policy: "relay", calls: 1, slmTokens: 30, llmTokens: 10, commandTokens: 8, degraded: "budget", malformed: 2,
        segments: [
            RelayReport.Segment(
                role: "slm", model: "s\"m", generatedTokens: 30, commandTokens: 8, promptTokens: 14, cachedTokens: 0,
                source: "reported", finish: "call", firstTokenMilliseconds: 5, durationMilliseconds: 50),
            RelayReport.Segment(
                choice: 1, role: "llm", model: "l", requested: 20, granted: 10, generatedTokens: 10,
                source: "counted", finish: "length", durationMilliseconds: 70),
        ])

    private func writer(_ endpoint: Endpoint, includeUsage: Bool = false) -> ChunkWriter {
        ChunkWriter(endpoint: endpoint, id: "id-1", created: 1_700_000_000, model: "m\"1", includeUsage: includeUsage)
    }

    private func choice(_ chunk: [String: Any]) throws -> [String: Any] {
        let choices = try #require(chunk["choices"] as? [[String: Any]])
        #expect(choices.count == 1)
        return try #require(choices.first)
    }

    @Test("A chat stream: role, text, finish, [DONE]")
    func chatStream() throws {
        let writer = writer(.chat)
        var stream: [UInt8] = []
        ChunkWriter.appendKeepAlive(to: &stream)
        writer.appendRole(choice: 1, to: &stream)
        writer.appendContent(utf8("a\n\"é"), choice: 1, to: &stream)
        writer.appendFinish("stop", choice: 1, report: report, to: &stream)
        ChunkWriter.appendDone(to: &stream)
        let chunks = try payloads(stream)
        #expect(chunks.count == 3)
        for chunk in chunks {
            #expect(chunk["id"] as? String == "id-1")
            #expect(chunk["object"] as? String == "chat.completion.chunk")
            #expect(chunk["created"] as? Int == 1_700_000_000)
            #expect(chunk["model"] as? String == "m\"1")
            #expect(chunk["usage"] == nil)
            #expect(try choice(chunk)["index"] as? Int == 1)
        }
        let role = try #require(try choice(chunks[0])["delta"] as? [String: Any])
        #expect(role["role"] as? String == "assistant" && role["content"] as? String == "")
        let text = try #require(try choice(chunks[1])["delta"] as? [String: Any])
        #expect(text.count == 1 && text["content"] as? String == "a\n\"é")
        #expect(try choice(chunks[1])["finish_reason"] is NSNull)
        #expect((try choice(chunks[2])["delta"] as? [String: Any])?.isEmpty == true)
        #expect(try choice(chunks[2])["finish_reason"] as? String == "stop")
        #expect(chunks[2]["relay"] is [String: Any])
        #expect(String(decoding: stream.suffix(14), as: UTF8.self) == "data: [DONE]\n\n")
    }

    @Test("A completion stream has no role chunk; with include_usage the report rides on the usage chunk")
    func completionStream() throws {
        let writer = writer(.completions, includeUsage: true)
        var stream: [UInt8] = []
        writer.appendRole(to: &stream)
        #expect(stream.isEmpty)
        writer.appendContent(utf8("a"), writer: "llm", to: &stream)
        writer.appendFinish("length", to: &stream)
        writer.appendUsage(TokenUsage(prompt: 3, completion: 4, cachedPrompt: 2), report: report, to: &stream)
        let chunks = try payloads(stream)
        #expect(chunks.map { $0["object"] as? String } == ["text_completion", "text_completion", "text_completion"])
        #expect(try choice(chunks[0])["text"] as? String == "a")
        #expect((chunks[0]["relay"] as? [String: String]) == ["role": "llm"])
        #expect(chunks[0]["usage"] is NSNull && chunks[1]["usage"] is NSNull)
        #expect(try choice(chunks[1])["finish_reason"] as? String == "length")
        #expect((chunks[2]["choices"] as? [Any])?.isEmpty == true)
        let usage = try #require(chunks[2]["usage"] as? [String: Any])
        #expect(usage["prompt_tokens"] as? Int == 3 && usage["completion_tokens"] as? Int == 4)
        #expect(usage["total_tokens"] as? Int == 7)
        #expect((usage["prompt_tokens_details"] as? [String: Int]) == ["cached_tokens": 2])
        #expect(chunks[2]["relay"] is [String: Any])
    }

    @Test("logprobs and tool calls of a single-model policy pass through")
    func passThrough() throws {
        var stream: [UInt8] = []
        writer(.chat).appendContent([], logprobs: nil, toolCalls: utf8("[{\n\"index\":0}]"), to: &stream)
        writer(.chat).appendContent(utf8("x"), logprobs: utf8("{\"content\":[]}"), to: &stream)
        let chunks = try payloads(stream)
        let delta = try #require(try choice(chunks[0])["delta"] as? [String: Any])
        #expect(delta["content"] is NSNull && (delta["tool_calls"] as? [[String: Int]]) == [["index": 0]])
        #expect(try choice(chunks[1])["logprobs"] is [String: Any])
    }

    @Test("The chunks we write are chunks we read")
    func roundTrip() throws {
        for endpoint in Endpoint.allCases {
            var stream: [UInt8] = []
            writer(endpoint).appendContent(utf8("é\u{0}\"\\😀"), to: &stream)
            var sse = SSEParser()
            let events = try sse.push(stream)
            var parser = JSONParser()
            #expect(try UpstreamChunk(parsing: events[0], with: &parser).text == utf8("é\u{0}\"\\😀"))
        }
    }

    @Test("A whole response", arguments: Endpoint.allCases)
    func whole(_ endpoint: Endpoint) throws {
        let response = CompletionResponse(
            endpoint: endpoint, id: "x", created: 5, model: "m",
            choices: [
                .init(text: utf8("a\n"), finishReason: "stop"),
                .init(text: utf8("b"), finishReason: "length", logprobs: utf8("{\"tokens\":[]}")),
            ],
            usage: TokenUsage(prompt: 1, completion: 2), report: report)
        let root = try foundation(response.body())
        #expect(root["object"] as? String == (endpoint == .chat ? "chat.completion" : "text_completion"))
        let choices = try #require(root["choices"] as? [[String: Any]])
        #expect(choices.map { $0["index"] as? Int } == [0, 1])
        #expect(choices.map { $0["finish_reason"] as? String } == ["stop", "length"])
        let texts = choices.map { choice in
            (choice["text"] as? String) ?? ((choice["message"] as? [String: Any])?["content"] as? String)
        }
        #expect(texts == ["a\n", "b"])
        #expect(choices[0]["logprobs"] is NSNull && choices[1]["logprobs"] is [String: Any])
        #expect((root["usage"] as? [String: Int])?["total_tokens"] == 3)
        #expect(root["relay"] is [String: Any])
    }

    @Test("A whole tool call has no content")
    func wholeToolCall() throws {
        let response = CompletionResponse(
            endpoint: .chat, id: "x", created: 5, model: "m",
            choices: [.init(text: [], finishReason: "tool_calls", toolCalls: utf8("[{\"id\":\"1\"}]"))],
            usage: TokenUsage(prompt: 1, completion: 2))
        let choices = try #require(try foundation(response.body())["choices"] as? [[String: Any]])
        let message = try #require(choices[0]["message"] as? [String: Any])
        #expect(message["content"] is NSNull && message["tool_calls"] is [[String: String]])
    }

    @Test("The report holds every field of the rules")
    func reportFields() throws {
        var bytes: [UInt8] = []
        report.append(to: &bytes)
        let root = try foundation(bytes)
        #expect(
            Set(root.keys) == [
                "policy", "calls", "slm_tokens", "llm_tokens", "command_tokens", "call_ratio", "call_ratio_definition",
                "cost", "degraded", "clamped", "malformed", "segments",
            ])
        // 10 LLM tokens of 30 + 10 generated tokens.
        #expect(root["call_ratio"] as? Double == 0.25)
        #expect(root["call_ratio_definition"] as? String == "llm_tokens/generated_tokens")
        #expect(root["cost"] is NSNull && root["degraded"] as? String == "budget")
        let segments = try #require(root["segments"] as? [[String: Any]])
        for segment in segments {
            #expect(
                Set(segment.keys) == [
                    "choice", "role", "model", "requested", "granted", "generated_tokens", "command_tokens",
                    "prompt_tokens", "cached_tokens", "source", "finish", "first_token_ms", "duration_ms",
                ])
        }
        #expect(segments[0]["requested"] is NSNull && segments[1]["requested"] as? Int == 20)
        #expect(segments[1]["first_token_ms"] is NSNull && segments[0]["first_token_ms"] as? Int == 5)
    }

    @Test(
        "A cost that is not known is null, and one without a price is not 0",
        arguments: [
            (RelayReport.Cost.dollars("0.00"), #""0.00""#), (.unpriced, #""unpriced""#), (.unknown, "null"),
        ])
    func cost(_ cost: RelayReport.Cost, _ expected: String) {
        var bytes: [UInt8] = []
        RelayReport(policy: "slm", cost: cost).append(to: &bytes)
        #expect(String(decoding: bytes, as: UTF8.self).contains(#""cost":\#(expected),"#))
    }

    @Test(
        "The call ratio has six decimals, is null for nothing, and does not trap",
        arguments: [
            (0, 0, "null"), (1, 0, "0.000000"), (0, 1, "1.000000"), (2, 1, "0.333333"), (1, 2, "0.666667"),
            (Int.max, Int.max, "0.500000"), (0, Int.max, "1.000000"), (-1, 5, "null"), (5, -1, "null"),
        ])
    func ratio(_ slm: Int, _ llm: Int, _ expected: String) {
        var bytes: [UInt8] = []
        RelayReport(policy: "slm", slmTokens: slm, llmTokens: llm).append(to: &bytes)
        #expect(String(decoding: bytes, as: UTF8.self).contains(#""call_ratio":\#(expected),"#))
    }

    @Test("The list of models")
    func models() throws {
        let root = try foundation(ModelList.body([.init(id: "a\"", created: 1), .init(id: "b", created: 2)]))
        let data = try #require(root["data"] as? [[String: Any]])
        #expect(root["object"] as? String == "list")
        #expect(data.map { $0["id"] as? String } == ["a\"", "b"])
        #expect(data.allSatisfy { $0["object"] as? String == "model" && $0["owned_by"] as? String == "relaygate" })
        #expect((try foundation(ModelList.body([]))["data"] as? [Any])?.isEmpty == true)
        #expect(try foundation(ModelList.Model(id: "c", created: 3).body())["id"] as? String == "c")
    }

    @Test("Totals do not trap")
    func totals() {
        #expect(TokenUsage(prompt: Int.max, completion: 1).total == Int.max)
    }
}
