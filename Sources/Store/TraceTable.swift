internal import Accounting

/// A request as rows of a table, one for each segment, with the request's columns repeated; `Docs/trace-format.md`
/// defines the columns.
package enum TraceTable {
    package static let columns = [
        "request_id", "tenant", "model", "policy", "policy_version", "propensity", "endpoint", "stream", "arrived_ms",
        "finished_ms", "outcome", "finish", "error", "degraded", "choices", "calls", "malformed", "prompt_tokens",
        "slm_tokens", "llm_tokens", "command_tokens", "visible_tokens", "tags", "verdicts", "segment_role",
        "segment_choice", "segment_seq", "segment_attempt", "segment_model", "segment_upstream", "segment_requested",
        "segment_granted", "segment_tokens", "segment_command_tokens", "segment_finish", "segment_input_tokens",
        "segment_cached_input_tokens", "segment_cache_write_tokens", "segment_source", "segment_command_source",
        "segment_cost_pico", "segment_started_ms", "segment_ms", "segment_first_token_ms", "segment_error",
    ]

    /// The columns that hold texts, which may look like numbers; the others are numbers, `true` or `false`, and ids.
    package static let texts: Set = [
        "tenant", "model", "policy", "policy_version", "endpoint", "outcome", "finish", "error", "degraded",
        "segment_role", "segment_model", "segment_upstream", "segment_finish", "segment_source",
        "segment_command_source", "segment_error",
    ]

    /// The columns that hold JSON.
    package static let structures: Set = ["tags", "verdicts"]

    /// The rows; a request without segments has one, whose cells of segments are empty, as is each without a value.
    package static func rows(_ trace: Trace) -> [[String]] {
        let head = request(trace)
        let segments = trace.request.segments.indices.map { head + segment(trace, $0) }
        return segments.isEmpty ? [head + Array(repeating: "", count: columns.count - head.count)] : segments
    }

    private static func request(_ trace: Trace) -> [String] {
        let request = trace.request
        var tags = JSONText()
        tags.object { json in
            for tag in request.tags { json.member(named: tag.key, tag.value) }
        }
        var verdicts = JSONText()
        TraceFormat.verdicts(&verdicts, trace)
        return [
            request.id.description, trace.tenantName, request.model, request.policy, request.policyVersion,
            request.propensity.map { "\($0)" } ?? "", request.endpoint, request.isStream ? "true" : "false",
            TraceFormat.milliseconds(request.started.microseconds),
            TraceFormat.milliseconds(request.finished.microseconds), request.outcome.rawValue, request.finish,
            request.errorCode ?? "", request.degraded ?? "", "\(request.choices)", "\(request.calls)",
            "\(request.malformed)", "\(request.promptTokens)", "\(request.slmTokens)", "\(request.llmTokens)",
            "\(request.commandTokens)", "\(request.visibleTokens)", tags.text, verdicts.text,
        ]
    }

    private static func segment(_ trace: Trace, _ index: Int) -> [String] {
        let segment = trace.request.segments[index]
        let started = segment.started.microseconds - trace.request.started.microseconds
        let cost = index < trace.costs.count ? trace.costs[index] : nil
        return [
            segment.role, "\(segment.choice)", "\(segment.sequence)", "\(segment.attempt)", segment.model,
            segment.upstream, number(TraceFormat.command(of: index, in: trace.request.segments)),
            number(segment.granted), "\(segment.generatedTokens)", "\(segment.commandTokens)", segment.finish,
            number(segment.promptTokens), number(segment.cachedTokens), number(segment.cacheWriteTokens),
            segment.source, segment.commandSource, number(cost), TraceFormat.milliseconds(started),
            TraceFormat.milliseconds(segment.durationMicroseconds),
            segment.firstTokenMicroseconds.map(TraceFormat.milliseconds) ?? "", segment.error ?? "",
        ]
    }

    private static func number(_ value: Int?) -> String { value.map(String.init) ?? "" }
}
