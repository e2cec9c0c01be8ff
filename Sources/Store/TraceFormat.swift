internal import Accounting

/// The line of JSON that stands for one request in a trace file; `Docs/trace-format.md` defines it.
package enum TraceFormat {
    /// What a file says of itself in each line. Raised when a member changes its meaning.
    package static let version = 2

    /// The line, without the newline.
    package static func line(_ trace: Trace) -> String {
        let request = trace.request
        var json = JSONText()
        json.object { json in
            json.member("version", version)
            json.member("request_id", request.id.description)
            json.member("tenant", trace.tenantName)
            json.member("model", request.model)
            json.key("policy")
            json.object { json in
                json.member("name", request.policy)
                json.member("version", request.policyVersion)
                json.member("propensity", request.propensity)
            }
            json.member("endpoint", request.endpoint)
            json.member("stream", request.isStream)
            json.member("arrived_ms", number: milliseconds(request.started.microseconds))
            json.member("finished_ms", number: milliseconds(request.finished.microseconds))
            json.member("outcome", request.outcome.rawValue)
            json.member("finish", request.finish)
            json.member("error", request.errorCode)
            json.member("degraded", request.degraded)
            json.member("choices", request.choices)
            json.member("calls", request.calls)
            json.member("malformed", request.malformed)
            json.member("prompt_tokens", request.promptTokens)
            json.member("slm_tokens", request.slmTokens)
            json.member("llm_tokens", request.llmTokens)
            json.member("command_tokens", request.commandTokens)
            json.member("visible_tokens", request.visibleTokens)
            json.key("tags")
            json.object { json in
                for tag in request.tags { json.member(named: tag.key, tag.value) }
            }
            json.key("segments")
            json.array(request.segments.indices) { json, index in segment(&json, trace, index) }
            json.key("verdicts")
            verdicts(&json, trace)
            json.member("counterfactual", nil as Int?)
        }
        return json.text
    }

    /// Milliseconds with the microseconds behind the point, exactly: `1723000000000.25`.
    static func milliseconds(_ microseconds: Int64) -> String {
        let (whole, rest) = microseconds.magnitude.quotientAndRemainder(dividingBy: 1000)
        var text = (microseconds < 0 ? "-" : "") + String(whole)
        guard rest > 0 else { return text }
        var digits = String(rest)
        digits = String(repeating: "0", count: 3 - digits.count) + digits
        while digits.last == "0" { digits.removeLast() }
        text += "." + digits
        return text
    }

    /// The n of a segment's command: of the SLM's that wrote it, the next segment of the same choice carries it.
    static func command(of index: Int, in segments: [SegmentRecord]) -> Int? {
        let segment = segments[index]
        guard segment.role == "slm" else { return segment.requested }
        let next = segments[(index + 1)...].first { $0.choice == segment.choice && $0.sequence != segment.sequence }
        guard segment.commandTokens > 0, let next, next.role == "llm" else { return nil }
        return next.requested
    }

    static func verdicts(_ json: inout JSONText, _ trace: Trace) {
        json.array(trace.verdicts) { json, verdict in
            json.object { json in
                json.member("choice", verdict.choice)
                json.member("source", verdict.source)
                json.member("verdict", verdict.verdict)
                json.member("judged_ms", number: milliseconds(verdict.judged.microseconds))
                json.member("note", verdict.note)
            }
        }
    }

    private static func segment(_ json: inout JSONText, _ trace: Trace, _ index: Int) {
        let segment = trace.request.segments[index]
        let started = segment.started.microseconds - trace.request.started.microseconds
        json.object { json in
            json.member("role", segment.role)
            json.member("choice", segment.choice)
            json.member("seq", segment.sequence)
            json.member("attempt", segment.attempt)
            json.member("model", segment.model)
            json.member("upstream", segment.upstream)
            json.member("requested", command(of: index, in: trace.request.segments))
            json.member("granted", segment.granted)
            json.member("tokens", segment.generatedTokens)
            json.member("command_tokens", segment.commandTokens)
            json.member("finish", segment.finish)
            json.member("input_tokens", segment.promptTokens)
            json.member("cached_input_tokens", segment.cachedTokens)
            json.member("cache_write_tokens", segment.cacheWriteTokens)
            json.member("source", segment.source)
            json.member("command_source", segment.commandSource)
            json.member("cost_pico", index < trace.costs.count ? trace.costs[index] : nil)
            json.member("started_ms", number: milliseconds(started))
            json.member("ms", number: milliseconds(segment.durationMicroseconds))
            json.member("first_token_ms", number: segment.firstTokenMicroseconds.map(milliseconds))
            json.member("error", segment.error)
        }
    }
}

extension Trace {
    /// The request as one line of the trace format (`Docs/trace-format.md`), without the newline.
    package var json: String { TraceFormat.line(self) }
}
