package import Accounting
internal import Postgres

/// A request with its segments and verdicts, as the ledger has it. Payloads are not read.
package struct Trace: Sendable {
    package let tenantName: String
    /// `segments` is in order of choice, sequence and attempt; tags in order of their keys.
    package var request: RequestRecord
    /// Pico-dollars of each of `request.segments`, in their order; nil where nobody can say.
    package var costs: [Int?] = []
    /// The latest of each source for each choice, in order of choice and source.
    package var verdicts: [VerdictRecord] = []

    /// Reads a row of `requests` with the tenant's name beside it; the segments follow.
    init(_ row: PostgresRow) throws(PostgresError) {
        tenantName = try row.optionalText("tenant_name") ?? ""
        request = RequestRecord(
            id: try row.uuid("id"), tenant: try row.uuid("tenant_id"), key: try row.uuid("key_id"),
            model: try row.text("model"), policy: try row.text("policy"), policyVersion: try row.text("policy_version"),
            propensity: try row.optionalDouble("propensity"), endpoint: try row.text("endpoint"),
            isStream: try row.bool("is_stream"), choices: try row.int("choices"),
            started: try row.timestamp("started_at"))
        request.finished = try row.timestamp("finished_at")
        guard let outcome = Outcome(rawValue: try row.text("outcome")) else {
            throw PostgresError(.unexpectedResult, outcome: .unknown, detail: "an outcome that is not known")
        }
        request.outcome = outcome
        request.finish = try row.text("finish")
        request.errorCode = try row.optionalText("error_code")
        request.degraded = try row.optionalText("degraded")
        request.calls = try row.int("calls")
        request.malformed = try row.int("malformed")
        request.promptTokens = try row.int("prompt_tokens")
        request.slmTokens = try row.int("slm_tokens")
        request.llmTokens = try row.int("llm_tokens")
        request.commandTokens = try row.int("command_tokens")
        request.visibleTokens = try row.int("visible_tokens")
        request.tags = zip(try row.texts("tag_keys"), try row.texts("tag_values")).map { key, value in
            RequestTag(key: key ?? "", value: value ?? "")
        }
    }
}

extension SegmentRecord {
    /// Reads a row of `segments`.
    init(_ row: PostgresRow) throws(PostgresError) {
        self.init(
            choice: try row.int("choice"), sequence: try row.int("seq"), attempt: try row.int("attempt"),
            role: try row.text("role"), model: try row.text("model"), upstream: try row.text("upstream"),
            requested: try row.optionalInt("requested"), granted: try row.optionalInt("granted"),
            promptTokens: try row.optionalInt("prompt_tokens"), cachedTokens: try row.optionalInt("cached_tokens"),
            generatedTokens: try row.int("generated_tokens"), commandTokens: try row.int("command_tokens"),
            source: try row.text("source"), commandSource: try row.text("command_source"),
            finish: try row.text("finish"), started: try row.timestamp("started_at"),
            firstTokenMicroseconds: try row.optionalInt("first_token_us").map(Int64.init),
            durationMicroseconds: Int64(try row.int("duration_us")), error: try row.optionalText("error"))
        cacheWriteTokens = try row.optionalInt("cache_write_tokens")
    }
}
