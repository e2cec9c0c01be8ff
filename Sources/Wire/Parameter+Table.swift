extension Parameter {
    /// Every field that is known by name, in the order of the documentation.
    package static let all: [Parameter] = served + sampling + oneModelOnly + refusedNames

    private static let served: [Parameter] = [
        Parameter("model", .read, .string, why: "The public model name, which chooses the pair and the policy."),
        Parameter("messages", .read, .array, on: [.chat], why: "The conversation."),
        Parameter("prompt", .read, .stringOrArray, on: [.completions], why: "The text to continue: one string."),
        Parameter("stream", .read, .bool, why: "Whether the answer comes as server-sent events."),
        Parameter("stream_options", .read, .object, why: "With include_usage, a last chunk tells the token counts."),
        Parameter("n", .read, .integer, why: "How many answers to write."),
        Parameter("max_tokens", .read, .integer, why: "Limit of visible tokens over all segments of an answer."),
        Parameter("max_completion_tokens", .read, .integer, why: "Another name of max_tokens."),
        Parameter("stop", .read, .stringOrArray, why: "Up to four strings that end the answer and are not shown."),
        Parameter("relay", .read, .object, why: "Options of the relay: annotate marks each chunk with its writer."),
    ]

    private static let sampling: [Parameter] = [
        Parameter("temperature", .passed, .number, why: "Sampling temperature of both models."),
        Parameter("top_p", .passed, .number, why: "Nucleus sampling of both models."),
        Parameter("top_k", .passed, .integer, why: "Vendor sampling option."),
        Parameter("min_p", .passed, .number, why: "Vendor sampling option."),
        Parameter("frequency_penalty", .passed, .number, why: "Penalty by frequency."),
        Parameter("presence_penalty", .passed, .number, why: "Penalty by presence."),
        Parameter("repetition_penalty", .passed, .number, why: "Vendor sampling option."),
        Parameter("logit_bias", .passed, .objectOrArray, why: "Bias per token id of the server it reaches."),
        Parameter("seed", .passed, .integer, why: "Seed of the sampling."),
        Parameter("user", .passed, .string, why: "The caller's name for an end user."),
        Parameter("metadata", .passed, .object, why: "The caller's notes on the request."),
        Parameter("service_tier", .passed, .string, why: "Service tier of a hosted server."),
    ]

    private static let template = "the gateway renders the prompt of both models itself under the relay."
    private static let joined = "its value would have to be joined from several generations under the relay."
    private static let forms = "it would bind the form of every single segment, the command included, under the relay."
    private static let tools = "a tool call cannot be divided between two models."

    private static let oneModelOnly: [Parameter] = [
        Parameter("logprobs", .singleOnly, .boolOrInteger, why: joined),
        Parameter("top_logprobs", .singleOnly, .integer, why: joined),
        Parameter("n_probs", .singleOnly, .integer, why: joined),
        Parameter("tools", .singleOnly, .array, on: [.chat], why: tools),
        Parameter("tool_choice", .singleOnly, on: [.chat], why: tools),
        Parameter("functions", .singleOnly, .array, on: [.chat], why: tools),
        Parameter("function_call", .singleOnly, on: [.chat], why: tools),
        Parameter("parallel_tool_calls", .singleOnly, .bool, on: [.chat], why: tools),
        Parameter("response_format", .singleOnly, .object, why: forms),
        Parameter("structured_outputs", .singleOnly, .object, why: forms),
        Parameter("grammar", .singleOnly, why: forms),
        Parameter("json_schema", .singleOnly, why: forms),
        Parameter("regex", .singleOnly, why: forms),
        Parameter("ebnf", .singleOnly, why: forms),
        Parameter("guided_*", .singleOnly, why: forms),
        Parameter("chat_template", .singleOnly, .string, on: [.chat], why: template),
        Parameter("chat_template_kwargs", .singleOnly, .object, on: [.chat], why: template),
        Parameter("documents", .singleOnly, .array, on: [.chat], why: template),
        Parameter("reasoning_effort", .singleOnly, .string, on: [.chat], why: template),
    ]

    private static let unmetered = "it makes a server generate more than the gateway asked for and reserved."
    private static let limits = "limits are set by 'max_tokens', 'n' and 'stop' so that budgets hold."
    private static let continuing = "the gateway itself tells a server where an answer goes on."
    private static let stops = "the gateway needs to know which text ends a generation; use 'stop' with strings."
    private static let hosted = "it belongs to a hosted service and has no meaning here."
    private static let address = "a request may not choose where the gateway connects to."
    private static let inner = "it reaches into the running of a model server, which belongs to the operator."
    private static let shape = "it changes what a server reports, and the gateway counts tokens from its reports."

    private static let refusedNames: [Parameter] = [
        Parameter("best_of", .refused(unless: .one), why: unmetered),
        Parameter("use_beam_search", .refused(unless: .false), why: unmetered),
        Parameter("echo", .refused(unless: .false), why: "the answer holds only what was generated."),
        Parameter("suffix", .refused(unless: .empty), why: "text is only continued, not filled in."),
        Parameter("audio", .refused(unless: .none), why: "only text is served."),
        Parameter("modalities", .refused(unless: .textOnly), why: "only text is served."),
        Parameter("prediction", .refused(unless: .none), why: hosted),
        Parameter("store", .refused(unless: .false), why: "what is stored is for the operator to set."),
        Parameter("web_search_options", .refused(unless: .none), why: hosted),
        Parameter("api_base", .refused(unless: .none), why: address),
        Parameter("base_url", .refused(unless: .none), why: address),
        Parameter("api_key", .refused(unless: .none), why: address),
        Parameter("include_stop_str_in_output", .refused(unless: .false), why: stops),
        Parameter("no_stop_trim", .refused(unless: .false), why: stops),
        Parameter("stop_regex", .refused(unless: .none), why: stops),
        Parameter("stop_token_ids", .refused(unless: .empty), why: stops),
        Parameter("ignore_eos", .refused(unless: .false), why: stops),
        Parameter("min_tokens", .refused(unless: .zero), why: stops),
        Parameter("continue_final_message", .refused(unless: .false), why: continuing),
        Parameter("add_generation_prompt", .refused(unless: .none), why: continuing),
        Parameter("truncate_prompt_tokens", .refused(unless: .none), why: "a prompt is never shortened silently."),
        Parameter("return_token_ids", .refused(unless: .false), why: shape),
        Parameter("return_tokens", .refused(unless: .false), why: shape),
        Parameter("return_progress", .refused(unless: .false), why: shape),
        Parameter("timings_per_token", .refused(unless: .none), why: shape),
        Parameter("response_fields", .refused(unless: .empty), why: shape),
        Parameter("prompt_logprobs", .refused(unless: .none), why: shape),
        Parameter("detokenize", .refused(unless: .none), why: shape),
        Parameter("logits_processors", .refused(unless: .empty), why: inner),
        Parameter("kv_transfer_params", .refused(unless: .none), why: inner),
        Parameter("prompt_embeds", .refused(unless: .none), why: inner),
        Parameter("input_embeds", .refused(unless: .none), why: inner),
        Parameter("lora_path", .refused(unless: .none), why: inner),
        Parameter("id_slot", .refused(unless: .none), why: inner),
        Parameter("priority", .refused(unless: .zero), why: inner),
        Parameter("n_predict", .refused(unless: .none), why: limits),
        Parameter("n_cmpl", .refused(unless: .none), why: limits),
        Parameter("max_new_tokens", .refused(unless: .none), why: limits),
    ]
}
