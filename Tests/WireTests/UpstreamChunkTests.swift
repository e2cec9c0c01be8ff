import Testing

@testable import Wire

@Suite("What model servers send")
struct UpstreamChunkTests {
    @Test("llama.cpp: a whole completion with its counts and the cache")
    func llamaWhole() throws {
        let read = try chunk(
            #"""
            {"choices":[{"text":" 5, 6","index":0,"logprobs":null,"finish_reason":"stop"}],"created":1795454203,\#
            "model":"smollm2-135m","system_fingerprint":"b0-unknown","object":"text_completion",\#
            "usage":{"completion_tokens":8,"prompt_tokens":14,"total_tokens":22,\#
            "prompt_tokens_details":{"cached_tokens":0}},"id":"chatcmpl-5RYB","timings":{"cache_n":0,"prompt_n":14,\#
            "prompt_ms":86.359,"predicted_n":8,"predicted_ms":81.385}}
            """#
        )
        #expect(read.text == utf8(" 5, 6"))
        #expect(read.finishReason == "stop")
        #expect(read.usage == UpstreamChunk.Usage(prompt: 14, completion: 8, cachedPrompt: 0))
        #expect(read.runningTokens == 8)
        #expect(read.choiceCount == 1 && read.logprobs == nil && read.fault == nil && read.stopReason == nil)
    }

    @Test("llama.cpp: chunks of a stream, with a running count on each when asked for")
    func llamaStream() throws {
        let first = try chunk(
            #"""
            {"choices":[{"text":" ","index":0,"logprobs":null,"finish_reason":null}],"created":1795454204,\#
            "model":"smollm2-135m","system_fingerprint":"b0-unknown","object":"text_completion",\#
            "id":"chatcmpl-4aiv"}
            """#
        )
        #expect(first.text == utf8(" ") && first.finishReason == nil && first.usage == nil)
        #expect(first.runningTokens == nil)
        let held = try chunk(#"{"choices":[{"text":"","index":0,"finish_reason":null}],"timings":{"predicted_n":7}}"#)
        #expect(held.text.isEmpty && held.runningTokens == 7)
        let last = try chunk(
            #"""
            {"choices":[{"text":"","index":0,"logprobs":null,"finish_reason":"stop"}],\#
            "usage":{"completion_tokens":8,"prompt_tokens":14,"total_tokens":22,\#
            "prompt_tokens_details":{"cached_tokens":13}},"timings":{"predicted_n":8}}
            """#
        )
        #expect(last.usage == UpstreamChunk.Usage(prompt: 14, completion: 8, cachedPrompt: 13))
        #expect(last.finishReason == "stop")
    }

    @Test("Chat: content null, content missing and empty delta are empty text")
    func chatDeltas() throws {
        #expect(try chunk(#"{"choices":[{"index":0,"delta":{"role":"assistant","content":null}}]}"#).text.isEmpty)
        #expect(try chunk(#"{"choices":[{"index":0,"delta":{"content":" Paris"}}]}"#).text == utf8(" Paris"))
        let end = try chunk(#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#)
        #expect(end.text.isEmpty && end.finishReason == "stop")
        let whole = try chunk(
            #"{"choices":[{"finish_reason":"stop","index":0,"message":{"role":"assistant","content":"x Paris."}}]}"#)
        #expect(whole.text == utf8("x Paris."))
    }

    @Test("vLLM: the stop string, the stop token and usage behind the last chunk")
    func vllm() throws {
        let stopped = try chunk(
            #"""
            {"id":"cmpl-95ab","choices":[{"index":0,"text":"","logprobs":null,"finish_reason":"stop",\#
            "stop_reason":", 7","prompt_token_ids":null,"token_ids":null}]}
            """#
        )
        #expect(stopped.stopReason == .string(utf8(", 7")))
        let token = try chunk(#"{"choices":[{"index":0,"text":"x","finish_reason":"stop","stop_reason":39}]}"#)
        #expect(token.stopReason == .token(39))
        let none = try chunk(#"{"choices":[{"index":0,"text":"x","finish_reason":"length","stop_reason":null}]}"#)
        #expect(none.stopReason == .unmatched)
        let silent = try chunk(#"{"choices":[{"index":0,"text":"x","finish_reason":"stop"}]}"#)
        #expect(silent.stopReason == nil)
        let usage = try chunk(
            #"""
            {"choices":[],"usage":{"prompt_tokens":14,"total_tokens":22,"completion_tokens":8},\#
            "system_fingerprint":"vllm"}
            """#
        )
        #expect(usage.choiceCount == 0 && usage.runningTokens == nil)
        #expect(usage.usage == UpstreamChunk.Usage(prompt: 14, completion: 8, cachedPrompt: nil))
        let details = try chunk(
            #"""
            {"choices":[{"index":0,"text":"a","finish_reason":null}],"usage":{"prompt_tokens":14,\#
            "completion_tokens":3,"prompt_tokens_details":null}}
            """#
        )
        #expect(details.runningTokens == 3)
    }

    @Test("transformers and dasllama: usage on the last chunk, no created, no details")
    func others() throws {
        let transformers = try chunk(
            #"""
            {"id":"291f","choices":[{"finish_reason":"stop","index":0,"text":" 5, 6, 7"}],"model":"MODEL_DIR@main",\#
            "object":"text_completion","usage":{"completion_tokens":8,"prompt_tokens":14,"total_tokens":22}}
            """#
        )
        #expect(transformers.text == utf8(" 5, 6, 7") && transformers.usage?.completion == 8)
        let piece = try chunk(#"{"id":"x","choices":[{"index":0,"text":"5"}]}"#)
        #expect(piece.text == utf8("5") && piece.finishReason == nil)
        let dasllama = try chunk(
            #"""
            {"id":"cmpl-1","object":"text_completion","created":1751200001,"model":"q.gguf","choices":[{"index":0,\#
            "text":" 5, 6","finish_reason":"stop"}],"usage":{"prompt_tokens":14,"completion_tokens":7,\#
            "total_tokens":21,"prompt_tokens_details":{"cached_tokens":0}}}
            """#
        )
        #expect(dasllama.usage == UpstreamChunk.Usage(prompt: 14, completion: 7, cachedPrompt: 0))
    }

    @Test("logprobs and tool calls are kept as they were written")
    func slices() throws {
        let logprobs = #"{"content":[{"id":29,"token":"-","bytes":[45],"logprob":-0.9347,"top_logprobs":[]}]}"#
        #expect(
            try chunk(#"{"choices":[{"text":"-","index":0,"logprobs": \#(logprobs) ,"finish_reason":null}]}"#).logprobs
                == utf8(logprobs))
        let calls = #"[{"index":0,"function":{"name":"f","arguments":"{\"a\":1}"}}]"#
        let read = try chunk(#"{"choices":[{"index":0,"delta":{"content":null,"tool_calls":\#(calls)}}]}"#)
        #expect(read.toolCalls == utf8(calls) && read.text.isEmpty)
    }

    @Test(
        "A count that cannot be believed is unknown and never traps",
        arguments: [
            "-1", "1e400", "-1e400", "\"7\"", "9223372036854775808", "18446744073709551616", "9007199254740993", "1.5",
            "null", "true", "[]", "{}", "1e3",
        ])
    func hostileCounts(_ number: String) throws {
        let read = try chunk(
            """
            {"choices":[{"index":\(number),"text":"a","finish_reason":null,"stop_reason":\(number)}],
            "usage":{"prompt_tokens":\(number),"completion_tokens":\(number),
            "prompt_tokens_details":{"cached_tokens":\(number)}},"timings":{"predicted_n":\(number)}}
            """)
        #expect(read.usage == UpstreamChunk.Usage(prompt: nil, completion: nil, cachedPrompt: nil))
        #expect(read.runningTokens == nil)
        #expect(read.index == 0)
        #expect(read.text == utf8("a"))
    }

    @Test(
        "A prompt is not empty, and no part of it larger than the whole",
        arguments: [
            (#""prompt_tokens":0"#, nil, nil, nil),
            (#""prompt_tokens":100,"prompt_tokens_details":{"cached_tokens":101}"#, 100, nil, nil),
            (
                #""prompt_tokens":100,"prompt_tokens_details":{"cached_tokens":60,"cache_write_tokens":41}"#, 100, nil,
                nil
            ),
            (#""prompt_tokens_details":{"cached_tokens":60,"cache_write_tokens":40},"prompt_tokens":100"#, 100, 60, 40),
            (#""prompt_cache_hit_tokens":64,"prompt_cache_miss_tokens":36,"prompt_tokens":100"#, 100, 64, nil),
            (#""prompt_tokens_details":{"cached_tokens":1},"prompt_cache_hit_tokens":2,"prompt_tokens":3"#, 3, 1, nil),
        ] as [(String, Int?, Int?, Int?)])
    func prompts(_ usage: String, _ prompt: Int?, _ cached: Int?, _ written: Int?) throws {
        let read = try chunk(#"{"choices":[],"usage":{\#(usage),"completion_tokens":7}}"#)
        #expect(
            read.usage
                == UpstreamChunk.Usage(prompt: prompt, completion: 7, cachedPrompt: cached, cacheWrite: written))
    }

    @Test("One bad count leaves the others", arguments: [("9007199254740992", 1 << 53), ("1", 1)])
    func bounds(_ text: String, _ count: Int) throws {
        let read = try chunk(#"{"choices":[],"usage":{"prompt_tokens":\#(text),"completion_tokens":-3}}"#)
        #expect(read.usage == UpstreamChunk.Usage(prompt: count, completion: nil, cachedPrompt: nil))
    }

    @Test("Values of other types than expected are as good as missing")
    func wrongTypes() throws {
        for text in [
            #"{"choices":5,"usage":5,"timings":5}"#, #"{"choices":[5]}"#, #"{"choices":{"a":1}}"#, #"{"choices":null}"#,
            #"{"choices":[{"text":5,"finish_reason":5,"delta":5}]}"#, #"{"choices":[[[]]],"usage":[1]}"#, "{}",
        ] {
            let read = try chunk(text)
            #expect(read.text.isEmpty && read.finishReason == nil && read.usage == nil && read.fault == nil)
        }
    }

    struct Fault: Sendable, CustomTestStringConvertible {
        let name: String
        let body: String
        let message: String
        var type: String?
        var code: String?
        var isContextExceeded = false
        var testDescription: String { name }
    }

    static let knownFaults: [Fault] = [
        Fault(
            name: "llama.cpp, context",
            body:
                #"""
                {"error":{"code":400,"message":"request (5001 tokens) exceeds the available context size (4096 \#
                tokens), try increasing it","type":"exceed_context_size_error","n_prompt_tokens":5001,"n_ctx":4096}}
                """#,
            message: "request (5001 tokens) exceeds the available context size (4096 tokens), try increasing it",
            type: "exceed_context_size_error", code: "400", isContextExceeded: true),
        Fault(
            name: "vLLM, context",
            body:
                #"""
                {"error":{"message":"This model's maximum context length is 4096 tokens.","type":"BadRequestError",\#
                "param":"input_tokens","code":400}}
                """#,
            message: "This model's maximum context length is 4096 tokens.", type: "BadRequestError", code: "400",
            isContextExceeded: true),
        Fault(
            name: "llama.cpp, loading",
            body: #"{"error":{"message":"Loading model","type":"unavailable_error","code":503}}"#,
            message: "Loading model", type: "unavailable_error", code: "503"),
        Fault(
            name: "hosted",
            body: #"{"error":{"message":"m","type":"t","param":null,"code":"context_length_exceeded"}}"#,
            message: "m", type: "t", code: "context_length_exceeded", isContextExceeded: true),
        Fault(name: "detail", body: #"{"detail":"Not Found"}"#, message: "Not Found"),
        Fault(name: "detail list", body: #"{"detail":[{"loc":[1]}]}"#, message: #"[{"loc":[1]}]"#),
        Fault(name: "string", body: #"{"error":"gone"}"#, message: "gone"),
        Fault(
            name: "older vLLM", body: #"{"object":"error","message":"m","type":"t","code":404}"#, message: "m",
            type: "t",
            code: "404"),
    ]

    @Test("An error in any of the shapes in use is seen as one", arguments: knownFaults)
    func faults(_ fault: Fault) throws {
        let read = try #require(try chunk(fault.body).fault)
        #expect(read.message == fault.message)
        #expect(read.type == fault.type)
        #expect(read.code == fault.code)
        #expect(read.isContextExceeded == fault.isContextExceeded)
        #expect(try chunk(#"{"error":null,"detail":null,"choices":[]}"#).fault == nil)
    }

    @Test("What is no JSON object is an upstream error", arguments: ["", "[]", "x", "{", "5", "null", "<html>"])
    func noObject(_ text: String) {
        let error = #expect(throws: WireError.self) { try chunk(text) }
        #expect(error?.code == .invalidUpstreamBody && error?.status == 502)
    }
}
