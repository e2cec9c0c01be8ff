import Testing

@testable import Wire

@Suite("Inference request")
struct InferenceRequestTests {
    @Test("A chat request is read completely, in any order of its fields")
    func readsChat() throws {
        let fields = [
            #""model":"relay""#, #""messages":[{"role":"system","content":"s"},{"content":"é\n","role":"user"}]"#,
            #""stream":true"#, #""stream_options":{"include_usage":true}"#, #""n":2"#, #""max_tokens":50"#,
            #""stop":["a","b"]"#, #""seed":7"#, #""temperature":0.5"#, #""relay":{"annotate":true}"#,
            #""top_k": 40"#, #""vendor_field":{"a": [1,2]}"#,
        ]
        for order in [fields, fields.reversed(), Array(fields[5...] + fields[..<5])] {
            let request = try accepted("{" + order.joined(separator: ",") + "}")
            #expect(request.model == "relay")
            #expect(request.messages.map(\.role) == [.system, .user])
            #expect(request.messages.map(\.text) == [utf8("s"), utf8("é\n")])
            #expect(request.rawMessages == utf8(String(fields[1].dropFirst(11))))
            #expect(request.stream && request.includeUsage && request.annotate)
            #expect(request.choices == 2)
            #expect(request.maxTokens == 50)
            #expect(request.stop == [utf8("a"), utf8("b")])
            #expect(request.seed == 7)
            let passed = Dictionary(uniqueKeysWithValues: request.passthrough.map { ($0.name, $0.value) })
            #expect(
                passed == [
                    "seed": utf8("7"), "temperature": utf8("0.5"), "top_k": utf8("40"),
                    "vendor_field": utf8(#"{"a": [1,2]}"#),
                ])
            let expected = order.compactMap { $0.split(separator: "\"").first.map(String.init) }
                .filter { passed[$0] != nil }
            #expect(request.passthrough.map(\.name) == expected)
            #expect(request.refusals(for: .relay).isEmpty)
        }
    }

    @Test("A completion request is read, its prompt as a string or an array of one")
    func readsCompletion() throws {
        for prompt in [#""p\u00e9""#, #"["p\u00e9"]"#] {
            let request = try accepted(#"{"prompt":\#(prompt),"model":"m"}"#, .completions)
            #expect(request.prompt == utf8("pé"))
            #expect(request.choices == 1 && request.maxTokens == nil && request.stop.isEmpty)
            #expect(!request.stream && !request.includeUsage && !request.annotate)
        }
    }

    @Test("Null is the same as a field that is missing")
    func readsNull() throws {
        let names = Parameter.all.map(\.name).filter { !["model", "messages"].contains($0) && !$0.hasSuffix("*") }
        let nulls = names.map { "\"\($0)\":null" }.joined(separator: ",")
        let request = try accepted(#"{"model":"m","messages":[{"role":"user","content":"x"}],\#(nulls)}"#)
        #expect(request.passthrough.isEmpty)
        #expect(request.maxTokens == nil)
    }

    @Test("Text parts are joined by a line feed, and other parts are noticed")
    func flattensParts() throws {
        let parts = #"[{"type":"text","text":"a"},{"type":"image_url","image_url":{}},{"type":"text","text":"b"}]"#
        let body = #"{"model":"m","messages":[{"role":"user","content":\#(parts)}]}"#
        let request = try accepted(body)
        #expect(request.messages == [ChatMessage(role: .user, text: utf8("a\nb"), hasNonText: true)])
        #expect(request.refusals(for: .single).isEmpty)
        #expect(request.refusals(for: .relay).map(\.param) == ["messages[0].content"])
    }

    @Test("Tool calls pass to a single model and are refused under the relay")
    func tools() throws {
        let messages =
            #"[{"role":"user","content":"q"},{"role":"assistant","content":null,"tool_calls":[{}]},"#
            + #"{"role":"tool","content":"r","tool_call_id":"1"}]"#
        let request = try accepted(#"{"model":"m","messages":\#(messages),"tools":[]}"#)
        #expect(request.messages.map(\.hasTools) == [false, true, true])
        #expect(request.refusals(for: .single).isEmpty)
        #expect(request.refusals(for: .relay).map(\.param) == ["tools", "messages[1]", "messages[2]"])
        #expect(request.refusals(for: .relay).allSatisfy { $0.code == .unsupportedParameter })
    }

    @Test("Both names of the token limit may be given when they agree")
    func twoNamesOfOneLimit() throws {
        let head = #"{"model":"m","messages":[{"role":"user","content":"x"}]"#
        #expect(try accepted(head + #","max_completion_tokens":9}"#).maxTokens == 9)
        #expect(try accepted(head + #","max_completion_tokens":9,"max_tokens":9}"#).maxTokens == 9)
        #expect(refusal(head + #","max_completion_tokens":9,"max_tokens":8}"#)?.param == "max_tokens")
    }

    struct Refused: Sendable, CustomTestStringConvertible {
        let name: String
        let extra: String
        let code: WireError.Code
        let param: String?
        var testDescription: String { name }

        init(_ extra: String, _ code: WireError.Code, _ param: String?) {
            (name, self.extra, self.code, self.param) = (extra, extra, code, param)
        }
    }

    static let refusedFields: [Refused] = [
        Refused(#""n":0"#, .invalidValue, "n"), Refused(#""n":9"#, .invalidValue, "n"),
        Refused(#""n":-1"#, .invalidValue, "n"), Refused(#""n":"2""#, .invalidType, "n"),
        Refused(#""n":1.5"#, .invalidType, "n"), Refused(#""n":1e400"#, .invalidType, "n"),
        Refused(#""max_tokens":0"#, .invalidValue, "max_tokens"),
        Refused(#""max_tokens":-5"#, .invalidValue, "max_tokens"),
        Refused(#""max_tokens":9000000000000000000"#, .invalidValue, "max_tokens"),
        Refused(#""max_tokens":9223372036854775808"#, .invalidType, "max_tokens"),
        Refused(#""max_tokens":"abc""#, .invalidType, "max_tokens"),
        Refused(#""max_tokens":true"#, .invalidType, "max_tokens"),
        Refused(#""stop":"""#, .invalidValue, "stop"), Refused(#""stop":["a",""]"#, .invalidValue, "stop"),
        Refused(#""stop":["a","b","c","d","e"]"#, .invalidValue, "stop"), Refused(#""stop":5"#, .invalidType, "stop"),
        Refused(#""stop":[5]"#, .invalidType, "stop"), Refused(#""stream":"true""#, .invalidType, "stream"),
        Refused(#""stream_options":{"include_usage":true}"#, .invalidValue, "stream_options"),
        Refused(#""stream":true,"stream_options":{"x":1}"#, .unsupportedParameter, "stream_options.x"),
        Refused(#""stream":true,"stream_options":{"include_usage":1}"#, .invalidType, "stream_options.include_usage"),
        Refused(#""stream":true,"stream_options":[]"#, .invalidType, "stream_options"),
        Refused(#""relay":{"anotate":true}"#, .unknownParameter, "relay.anotate"),
        Refused(#""relay":{"annotate":1}"#, .invalidType, "relay.annotate"),
        Refused(#""relay":{"annotate":true,"annotate":true}"#, .duplicateParameter, "relay.annotate"),
        Refused(#""relay":true"#, .invalidType, "relay"), Refused(#""model":"x""#, .duplicateParameter, "model"),
        Refused(#""\u006dodel":"x""#, .duplicateParameter, "model"),
        Refused(#""vendor":1,"vendor":1"#, .duplicateParameter, "vendor"), Refused(#""":1"#, .unknownParameter, ""),
        Refused(#""temperature":"1""#, .invalidType, "temperature"),
        Refused(#""temperature":1e999"#, .invalidType, "temperature"), Refused(#""seed":1.5"#, .invalidType, "seed"),
        Refused(#""prompt":"x""#, .unsupportedParameter, "prompt"),
        Refused(#""modalities":["text","audio"]"#, .unsupportedParameter, "modalities"),
    ]

    @Test("A field that cannot be honoured is refused by name", arguments: refusedFields)
    func refuses(_ field: Refused) {
        let error = refusal(#"{"model":"m","messages":[{"role":"user","content":"x"}],\#(field.extra)}"#)
        #expect(error?.code == field.code)
        #expect(error?.param == field.param)
        #expect(error?.status == 400)
        #expect(error?.type == "invalid_request_error")
    }

    static let refusedBodies: [Refused] = [
        Refused("[]", .invalidType, nil), Refused("{", .invalidJSON, nil), Refused("{}", .missingParameter, "model"),
        Refused(#"{"model":"m"}"#, .missingParameter, "messages"),
        Refused(#"{"model":"","messages":[]}"#, .invalidValue, "model"),
        Refused(#"{"model":5,"messages":[]}"#, .invalidType, "model"),
        Refused(#"{"model":"m","messages":[]}"#, .invalidValue, "messages"),
        Refused(#"{"model":"m","messages":{}}"#, .invalidType, "messages"),
        Refused(#"{"model":"m","messages":["x"]}"#, .invalidType, "messages[0]"),
        Refused(#"{"model":"m","messages":[{"content":"x"}]}"#, .missingParameter, "messages[0].role"),
        Refused(#"{"model":"m","messages":[{"role":5,"content":"x"}]}"#, .invalidType, "messages[0].role"),
        Refused(#"{"model":"m","messages":[{"role":"me","content":"x"}]}"#, .invalidValue, "messages[0].role"),
        Refused(#"{"model":"m","messages":[{"role":"user"}]}"#, .missingParameter, "messages[0].content"),
        Refused(
            #"{"model":"m","messages":[{"role":"user","content":null}]}"#, .missingParameter, "messages[0].content"),
        Refused(#"{"model":"m","messages":[{"role":"user","content":5}]}"#, .invalidType, "messages[0].content"),
        Refused(#"{"model":"m","messages":[{"role":"user","content":[]}]}"#, .invalidType, "messages[0].content"),
        Refused(
            #"{"model":"m","messages":[{"role":"user","content":["x"]}]}"#, .invalidType, "messages[0].content[0]"),
        Refused(
            #"{"model":"m","messages":[{"role":"user","content":[{"type":"text"}]}]}"#, .invalidType,
            "messages[0].content[0].text"),
        Refused(
            #"{"model":"m","messages":[{"role":"user","role":"user","content":"x"}]}"#, .duplicateParameter,
            "messages[0].role"),
    ]

    @Test("A body that is no chat request is refused with the field at fault", arguments: refusedBodies)
    func refusesBody(_ body: Refused) {
        let error = refusal(body.extra)
        #expect(error?.code == body.code)
        #expect(error?.param == body.param)
    }

    @Test(
        "A prompt is one string",
        arguments: [#"[1,2]"#, #"["a","b"]"#, "[]", "[[1]]", "5", "{}", #"["a",4649]"#, #""""#, #"[""]"#])
    func refusesPrompt(_ prompt: String) {
        #expect(refusal(#"{"model":"m","prompt":\#(prompt)}"#, .completions)?.param == "prompt")
    }

    @Test("The limits are the caller's to set")
    func limits() throws {
        var parser = JSONParser()
        let body = utf8(#"{"model":"m","prompt":"x","n":3,"max_tokens":20}"#)
        let narrow = InferenceRequest.Limits(choices: 2, tokens: 100)
        let error = #expect(throws: WireError.self) {
            try InferenceRequest(parsing: body, endpoint: .completions, limits: narrow, with: &parser)
        }
        #expect(error?.message == "'n' must be an integer from 1 to 2.")
        let wide = InferenceRequest.Limits(choices: 3, tokens: 20)
        let request = try InferenceRequest(parsing: body, endpoint: .completions, limits: wide, with: &parser)
        #expect(request.choices == 3 && request.maxTokens == 20)
    }

    @Test("Twenty thousand distinct fields are read in time that does not grow with their square")
    func manyFields() throws {
        let fields = (0..<20_000).map { "\"v\($0)\":0" }.joined(separator: ",")
        let request = try accepted(#"{"model":"m","prompt":"x",\#(fields)}"#, .completions)
        #expect(request.passthrough.count == 20_000)
    }
}
