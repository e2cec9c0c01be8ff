internal import Accounting

/// The line of JSON that stands for one request in a trace file; `Docs/trace-format.md` defines it.
enum TraceFormat {
    static func line(_ trace: Trace) -> String {
        let request = trace.request
        var json = JSONText()
        json.object { json in
            json.member("version", 1)
            json.member("request_id", request.id.description)
            json.member("tenant", trace.tenantName)
            json.member("model", request.model)
            json.key("policy")
            json.object { json in
                json.member("name", request.policy)
                json.member("version", request.policyVersion)
                json.member("propensity", request.propensity)
            }
            json.member("arrived_ms", Int(request.started.microseconds / 1000))
            json.member("finished_ms", Int(request.finished.microseconds / 1000))
            json.member("outcome", request.outcome.rawValue)
            json.member("degraded", request.degraded)
            json.member("choices", request.choices)
            json.member("prompt_tokens", request.promptTokens)
            json.key("segments")
            json.array(request.segments.indices) { json, index in
                let segment = request.segments[index]
                if segment.role == "llm" {
                    llm(&json, segment)
                } else {
                    slm(&json, segment, command: command(after: index, in: request.segments))
                }
            }
            json.member("verdict", nil as Int?)
            json.member("counterfactual", nil as Int?)
        }
        return json.text
    }

    /// The n that a segment of the SLM asked for: the next segment of the same choice carries it.
    private static func command(after index: Int, in segments: [SegmentRecord]) -> Int? {
        let segment = segments[index]
        let next = segments[(index + 1)...].first { $0.choice == segment.choice && $0.sequence != segment.sequence }
        guard segment.commandTokens > 0, let next, next.role == "llm" else { return nil }
        return next.requested
    }

    private static func slm(_ json: inout JSONText, _ segment: SegmentRecord, command: Int?) {
        json.object { json in
            head(&json, segment)
            json.member("tokens", segment.generatedTokens)
            json.member("command_tokens", segment.commandTokens)
            json.member("requested", command)
            tail(&json, segment)
        }
    }

    private static func llm(_ json: inout JSONText, _ segment: SegmentRecord) {
        json.object { json in
            head(&json, segment)
            json.member("requested", segment.requested)
            json.member("granted", segment.granted)
            json.member("tokens", segment.generatedTokens)
            tail(&json, segment)
        }
    }

    private static func head(_ json: inout JSONText, _ segment: SegmentRecord) {
        json.member("role", segment.role)
        json.member("choice", segment.choice)
        json.member("attempt", segment.attempt)
        json.member("model", segment.model)
    }

    private static func tail(_ json: inout JSONText, _ segment: SegmentRecord) {
        json.member("finish", segment.finish)
        json.member("input_tokens", segment.promptTokens)
        json.member("cached_input_tokens", segment.cachedTokens)
        json.member("source", segment.source)
        json.member("ms", Double(segment.durationMicroseconds) / 1000)
        json.member("first_token_ms", segment.firstTokenMicroseconds.map { Double($0) / 1000 })
        json.member("error", segment.error)
    }
}
