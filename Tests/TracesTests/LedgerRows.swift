import Accounting
import Store
import TestSupport
import Testing

/// Records that depend on a number and nothing else, of all shapes that a ledger has.
enum LedgerRows {
    /// 2026-11-23 12:00:00 UTC in microseconds: the date does not matter, being in the middle of a month does.
    private static let start: Int64 = 1_795_435_200_000_000

    /// A database with so many of them.
    static func database(_ count: Int) async throws -> String {
        let server = try TemporaryPostgres.shared.get()
        let database = try await server.makeMigratedDatabase()
        let tenants = (0..<3).map { "('\(tenant($0))', 't\($0)', now())" }.joined(separator: ", ")
        try server.sql("INSERT INTO tenants (id, name, created_at) VALUES \(tenants)", on: database)
        let writer = try LedgerWriter.start(LedgerConfiguration(connection: database))
        for number in 0..<count { writer.append(record(number)) { _ in } }
        #expect(await writer.flush(within: .seconds(60)))
        writer.stop()
        try server.sql(verdicts, on: database)
        // What prices would have made of some of them.
        try server.sql(
            """
            ALTER TABLE segments DISABLE TRIGGER USER;
            UPDATE segments SET cost_pico = generated_tokens * 1000 + 7 WHERE prompt_tokens % 2 = 0;
            ALTER TABLE segments ENABLE TRIGGER USER
            """, on: database)
        return database
    }

    static func tenant(_ number: Int) -> UUID7 {
        UUID7(high: 0x0190_0000_0000_7000, low: 1 << 63 | UInt64(number))
    }

    static func record(_ number: Int) -> RequestRecord {
        // A second apart, and not at whole milliseconds.
        let started = Timestamp(microseconds: start + Int64(number) * 1_000_000 + Int64(number % 1000))
        let policy = ["slm", "relay", "prompted", "fixed(100)", "llm"][number % 5]
        var record = RequestRecord(
            id: UUID7(high: UInt64(started.microseconds / 1000) << 16 | 0x7000, low: 1 << 63 | UInt64(number)),
            tenant: tenant(number % 3), key: tenant(9), model: number % 2 == 0 ? "one" : "two", policy: policy,
            policyVersion: "1", propensity: policy == "llm" ? 0.1 + Double(number % 8) / 10 : nil, endpoint: "chat",
            isStream: true, choices: number % 9 == 0 ? 2 : 1, started: started)
        record.finished = Timestamp(microseconds: started.microseconds + 900_000)
        record.finish = "stop"
        record.promptTokens = 20 + number % 50
        if number % 4 == 1 { record.tags.append(RequestTag(key: "team", value: "a \"b\"")) }
        if number % 4 == 2 { record.tags.append(RequestTag(key: "team", value: "x")) }
        if number % 7 == 0 { record.tags.append(RequestTag(key: "odd", value: "")) }
        record.segments = (0..<record.choices).flatMap { segments(number, policy, choice: $0, started) }
        for segment in record.segments {
            if segment.role == "llm" {
                record.llmTokens += segment.generatedTokens
            } else {
                record.slmTokens += segment.generatedTokens
            }
        }
        // Each answer of the relay has one call; those that a budget refused are not served.
        if policy != "slm", policy != "llm", number % 8 != 0 { record.calls = record.choices }
        return record
    }

    private static func segments(
        _ number: Int, _ policy: String, choice: Int, _ started: Timestamp
    ) -> [SegmentRecord] {
        func segment(
            _ sequence: Int, _ role: String, _ generated: Int, command: Int = 0, attempt: Int = 1, finish: String
        ) -> SegmentRecord {
            let isCall = role == "llm" && policy != "llm"
            let prompt = number % 11 == 0 ? nil : 20 + number % 50 + sequence * 30
            return SegmentRecord(
                choice: choice, sequence: sequence, attempt: attempt, role: role, model: role + "-model",
                upstream: "u1", requested: isCall ? (number % 13 == 0 ? 5_000_000_000 : 100) : nil,
                granted: isCall && finish != "refused_budget" ? 100 : nil, promptTokens: prompt,
                cachedTokens: prompt.map { $0 / 2 }, generatedTokens: generated, commandTokens: command,
                source: "reported", commandSource: "counted", finish: finish,
                started: Timestamp(microseconds: started.microseconds + Int64(sequence) * 100_003),
                firstTokenMicroseconds: 12, durationMicroseconds: 90_007, error: nil)
        }
        switch policy {
        case "slm": return [segment(0, "slm", 10 + number % 30, finish: "stop")]
        case "llm": return [segment(0, "llm", 10 + number % 30, finish: "stop")]
        default: break
        }
        // One call in eight was refused by a budget, and one in seventeen was made again.
        let call =
            number % 8 == 0
            ? [segment(1, "llm", 0, finish: "refused_budget")] : [segment(1, "llm", 5 + number % 90, finish: "stop")]
        let failed = number % 17 == 0 ? [segment(0, "slm", 0, finish: "failed")] : []
        let first = segment(0, "slm", 12, command: 6, attempt: failed.isEmpty ? 1 : 2, finish: "call")
        return failed + [first] + call + [segment(2, "slm", 5, finish: "stop")]
    }

    /// Every sixth is judged: by tests, which changed their mind, and by people.
    static let verdicts = """
        INSERT INTO verdicts (request_id, choice, tenant_id, source, verdict, judged_at)
        SELECT r.id, c.choice, r.tenant_id, v.source, v.verdict, r.finished_at + v.later FROM requests r
        CROSS JOIN LATERAL generate_series(0, r.choices - 1) AS c (choice)
        CROSS JOIN (VALUES ('tests', 1, interval '1 s'), ('tests', 0.75, interval '2 s'), ('people', 0.3, interval '0'))
            AS v (source, verdict, later)
        WHERE ('x' || right(r.id::text, 12))::bit(48)::bigint % 6 = 0 AND (v.source = 'tests' OR c.choice = 0)
        """

    /// A request like this one, right behind it, without segments.
    static func late(_ number: Int) -> String {
        """
        INSERT INTO requests SELECT (jsonb_populate_record(r, jsonb_build_object('id',
            overlay(r.id::text placing 'f' from 25 for 1), 'slm_tokens', 0, 'llm_tokens', 0, 'calls', 0))).* FROM requests r WHERE id = '\(record(number).id)'
        """
    }
}
