internal import Accounting

/// A record as JSON, for `dead_letters`. The members are the columns; text of prompts and answers is left out, its
/// hashes are kept.
enum LedgerJSON {
    static func record(_ record: RequestRecord) -> String {
        var json = JSONText()
        json.object { json in
            json.member("id", record.id.description)
            json.member("tenant_id", record.tenant.description)
            json.member("key_id", record.key.description)
            json.member("model", record.model)
            json.member("policy", record.policy)
            json.member("policy_version", record.policyVersion)
            json.member("propensity", record.propensity)
            json.member("endpoint", record.endpoint)
            json.member("is_stream", record.isStream)
            json.member("choices", record.choices)
            json.member("started_us", Int(record.started.microseconds))
            json.member("finished_us", Int(record.finished.microseconds))
            json.member("outcome", record.outcome.rawValue)
            json.member("finish", record.finish)
            json.member("error_code", record.errorCode)
            json.member("degraded", record.degraded)
            json.member("calls", record.calls)
            json.member("malformed", record.malformed)
            json.member("prompt_tokens", record.promptTokens)
            json.member("slm_tokens", record.slmTokens)
            json.member("llm_tokens", record.llmTokens)
            json.member("command_tokens", record.commandTokens)
            json.member("visible_tokens", record.visibleTokens)
            json.key("tags")
            tags(&json, record.tags)
            json.key("segments")
            json.array(record.segments) { json, segment in LedgerJSON.segment(&json, segment) }
            json.key("payloads")
            json.array(record.payloads) { json, payload in
                json.object { json in
                    json.member("part", payload.part)
                    json.member("sha256", SHA256.hexadecimal(payload.sha256))
                }
            }
        }
        return json.text
    }

    static func tags(_ tags: [RequestTag]) -> String {
        var json = JSONText()
        self.tags(&json, tags)
        return json.text
    }

    private static func tags(_ json: inout JSONText, _ tags: [RequestTag]) {
        json.object { json in for tag in tags { json.member(named: tag.key, tag.value) } }
    }

    private static func segment(_ json: inout JSONText, _ segment: SegmentRecord) {
        json.object { json in
            json.member("choice", segment.choice)
            json.member("seq", segment.sequence)
            json.member("attempt", segment.attempt)
            json.member("role", segment.role)
            json.member("model", segment.model)
            json.member("upstream", segment.upstream)
            json.member("requested", segment.requested)
            json.member("granted", segment.granted)
            json.member("prompt_tokens", segment.promptTokens)
            json.member("cached_tokens", segment.cachedTokens)
            json.member("cache_write_tokens", segment.cacheWriteTokens)
            json.member("generated_tokens", segment.generatedTokens)
            json.member("command_tokens", segment.commandTokens)
            json.member("source", segment.source)
            json.member("command_source", segment.commandSource)
            json.member("finish", segment.finish)
            json.member("started_us", Int(segment.started.microseconds))
            json.member("first_token_us", segment.firstTokenMicroseconds.map { Int($0) })
            json.member("duration_us", Int(segment.durationMicroseconds))
            json.member("error", segment.error)
            json.key("charges")
            json.array(segment.charges) { json, charge in
                json.object { json in
                    json.member("lease_id", charge.lease.description)
                    json.member("budget_id", charge.budget.description)
                    json.member("reserved", charge.reserved)
                    json.member("charged", charge.charged)
                }
            }
        }
    }
}
