import Testing

@testable import Wire

@Suite("Table of parameters")
struct ParameterTableTests {
    /// A body with the fields every request needs and one more.
    private func body(_ endpoint: Endpoint, _ name: String, _ value: String) -> String {
        let source =
            endpoint == .chat ? #""messages":[{"role":"user","content":"x"}]"# : #""prompt":"x""#
        return #"{"model":"m","stream":false,\#(source),"\#(name)":\#(value)}"#
    }

    /// A value of the type the parameter asks for which is not neutral.
    private func sample(_ parameter: Parameter) -> String {
        switch parameter.type {
        case .any: "{\"a\":2}"
        case .integer, .boolOrInteger: "2"
        case .number: "0.5"
        case .bool: "true"
        case .string, .stringOrArray: "\"s\""
        case .object, .objectOrArray: "{\"a\":1}"
        case .array: "[{\"type\":\"function\"}]"
        }
    }

    private let fixed = ["model", "messages", "prompt", "stream", "stream_options", "relay"]

    private func concrete(_ parameter: Parameter) -> String {
        parameter.name.hasSuffix("*") ? parameter.name.dropLast() + "regex" : parameter.name
    }

    @Test("Names occur once, and every row says why")
    func rows() {
        #expect(Set(Parameter.all.map(\.name)).count == Parameter.all.count)
        #expect(Parameter.all.allSatisfy { $0.why.hasSuffix(".") && !$0.endpoints.isEmpty })
    }

    @Test("Every parameter is treated as its row says", arguments: Endpoint.allCases)
    func treats(_ endpoint: Endpoint) throws {
        for parameter in Parameter.all where !fixed.contains(parameter.name) {
            let name = concrete(parameter)
            let text = body(endpoint, name, sample(parameter))
            guard parameter.endpoints.contains(endpoint) else {
                #expect(refusal(text, endpoint)?.code == .unsupportedParameter, "\(name)")
                continue
            }
            switch parameter.treatment {
            case .refused:
                let error = refusal(text, endpoint)
                #expect(error?.code == .unsupportedParameter && error?.param == name, "\(name)")
                #expect(error?.message.contains(parameter.why) == true, "\(name)")
            case .passed:
                let request = try accepted(text, endpoint)
                #expect(request.passthrough.map(\.name) == [name], "\(name)")
                #expect(request.passthrough.map(\.value) == [utf8(sample(parameter))], "\(name)")
                #expect(refusal(text, endpoint, for: .relay) == nil, "\(name)")
            case .singleOnly:
                #expect(try accepted(text, endpoint).passthrough.map(\.value) == [utf8(sample(parameter))], "\(name)")
                #expect(refusal(text, endpoint, for: .single) == nil, "\(name)")
                let error = refusal(text, endpoint, for: .relay)
                #expect(error?.code == .unsupportedParameter && error?.param == name, "\(name)")
            case .read:
                #expect(try accepted(text, endpoint).passthrough.isEmpty, "\(name)")
            }
        }
    }

    @Test("A value of a wrong type is refused by name, whatever it is")
    func checksTypes() {
        let values = ["{\"a\":1}", "[[1]]", "\"s\"", "0.5", "true", "1e400"]
        for parameter in Parameter.all where parameter.type != .any && parameter.treatment != .read {
            if case .refused = parameter.treatment { continue }
            let endpoint = parameter.endpoints[0]
            let name = concrete(parameter)
            let refused = values.filter { refusal(body(endpoint, name, $0), endpoint)?.code == .invalidType }
            let expected: [String] =
                switch parameter.type {
                case .any: []
                case .integer: values
                case .number: values.filter { $0 != "0.5" }
                case .string: values.filter { $0 != "\"s\"" }
                case .bool: values.filter { $0 != "true" }
                case .object: values.filter { $0 != "{\"a\":1}" }
                case .array: values.filter { $0 != "[[1]]" }
                case .objectOrArray: values.filter { $0 != "{\"a\":1}" && $0 != "[[1]]" }
                case .stringOrArray: values.filter { $0 != "\"s\"" && $0 != "[[1]]" }
                case .boolOrInteger: values.filter { $0 != "true" }
                }
            #expect(refused == expected, "\(name)")
        }
    }

    @Test(
        "A refused parameter with the value that changes nothing is accepted",
        arguments: [
            ("best_of", "1"), ("echo", "false"), ("suffix", "\"\""), ("store", "false"), ("modalities", "[\"text\"]"),
            ("min_tokens", "0"), ("ignore_eos", "false"), ("stop_token_ids", "[]"), ("logits_processors", "[]"),
            ("use_beam_search", "false"), ("include_stop_str_in_output", "false"), ("priority", "0"),
        ])
    func neutral(_ name: String, _ value: String) throws {
        #expect(try accepted(body(.completions, name, value), .completions).passthrough.isEmpty)
        #expect(refusal(body(.completions, name, "7"), .completions)?.param == name)
    }

    @Test(
        "The parameters the rules name are refused, always or under the relay",
        arguments: [
            "best_of", "echo", "suffix", "audio", "modalities", "prediction", "store", "web_search_options", "api_base",
            "base_url", "include_stop_str_in_output", "continue_final_message", "add_generation_prompt",
            "stop_token_ids", "ignore_eos", "return_token_ids", "min_tokens", "logits_processors", "use_beam_search",
            "truncate_prompt_tokens", "prompt_logprobs",
        ])
    func namedByTheRules(_ name: String) {
        guard case .refused = Parameter.named(name)?.treatment else { return #expect(Bool(false), "\(name)") }
    }

    @Test(
        "What binds one generation is left to policies of one generation",
        arguments: [
            "logprobs", "top_logprobs", "tools", "tool_choice", "functions", "response_format", "parallel_tool_calls",
            "structured_outputs", "grammar", "json_schema", "guided_json", "guided_regex", "guided_anything",
        ])
    func singleOnly(_ name: String) {
        #expect(Parameter.named(name)?.treatment == .singleOnly)
    }
}
