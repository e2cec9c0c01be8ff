import Accounting
import Postgres
import Reactor
import TestSupport

/// Usage that depends on numbers and nothing else: as SQL for the database, and added up here in another way.
struct UsageFixture: Sendable {
    struct Cell: Sendable {
        let tenant: Int
        let key: Int
        /// Hours since 2026-10-23 00:00 UTC.
        let hour: Int
        let model: String
        let policy: String
        let team: String?
        /// Each with its count.
        let buckets: [Int: Int]
        let requests: Int
        let refused: Int
        let segments: [Segment]
    }

    struct Segment: Sendable {
        let role: String
        let upstream: String
        let upstreamModel: String
        let tokens: Int
        let costPico: Int
        let unpriced: Int
    }

    /// Two tenants with two keys each, four days, two models; every fifth and the last ones are still deltas.
    static let cells: [Cell] = (0..<240).map { number in
        let tenant = number % 2
        let segments = (0..<3).map { part in
            Segment(
                role: part == 1 ? "llm" : "slm", upstream: "u\(part % 2)-\(number % 3)",
                upstreamModel: part == 1 ? "large" : "small-\(part + number % 2)", tokens: 100 * number + part,
                costPico: 1_000_000_007 * (number + part), unpriced: (number + part) % 7 == 0 ? 1 : 0)
        }
        return Cell(
            tenant: tenant, key: 2 * tenant + number / 2 % 2, hour: number * 7 % 96,
            model: number % 3 == 0 ? "relay" : "prompted", policy: number % 4 == 0 ? "relay" : "fixed(3)",
            team: [nil, "a", "b\"c"][number % 5 % 3], buckets: [number % 50 + 9: 2, number % 9: 1], requests: 3,
            refused: number % 11 == 0 ? 5 : 0, segments: segments)
    }

    static func tenantID(_ number: Int) -> String { "01900000-0000-7000-8000-00000000010\(number)" }
    static func keyID(_ number: Int) -> String { "01900000-0000-7000-8000-00000000020\(number)" }
    static func publicID(_ number: Int) -> String { "keykeykey00\(number)" }

    static func fill(_ connection: String) async throws {
        var sql = """
            INSERT INTO tenants (id, name, created_at) VALUES ('\(tenantID(0))', 'acme', now()), ('\(tenantID(1))', 'bolt', now());

            """
        for key in 0..<4 {
            sql += """
                INSERT INTO api_keys (id, tenant_id, public_id, digest, label, scopes, created_at)
                VALUES ('\(keyID(key))', '\(tenantID(key / 2))', '\(publicID(key))',
                    decode(repeat('0\(key)', 32), 'hex'), 'k', '{inference}', now());

                """
        }
        let isDelta = { (number: Int) in number.isMultiple(of: 5) || number >= 192 }
        sql += cells.indices.filter { !isDelta($0) }.map(insertions).joined()
        sql += "SELECT compact_usage();\n"
        sql += cells.indices.filter(isDelta).map(insertions).joined()
        let script = sql
        try await onLoop { actor in
            let database = try await PostgresConnection.connect(
                .patient(connection), on: actor.loop)
            defer { database.close() }
            try await database.execute(script)
        }
    }

    /// What puts a cell into the tables that batches append to.
    private static func insertions(_ number: Int) -> String {
        let cell = cells[number]
        let tags = cell.team.map { "{\"team\": \"\($0 == "a" ? "a" : "b\\\"c")\"}" } ?? ""
        let head =
            "'\(tenantID(cell.tenant))', '2026-10-23Z'::timestamptz + interval '\(cell.hour) hours', "
            + "'\(keyID(cell.key))', '\(cell.model)'"
        let histogram = cell.buckets.map { "\($0.value) * latency_unit(\($0.key))" }.joined(separator: " + ")
        var sql = "INSERT INTO usage_request_deltas VALUES (\(head), '\(cell.policy)', "
        sql += "'\(tags)', 3, 1, \(number % 2), \(number), 9, \(histogram), \(histogram));\n"
        for segment in cell.segments {
            sql += "INSERT INTO usage_segment_deltas VALUES (\(head), "
            sql +=
                "'\(cell.policy)', '\(tags)', '\(segment.role)', '\(segment.upstream)', '\(segment.upstreamModel)', 1, "
            sql += "\(segment.tokens), 2, 50, 10, 1, \(segment.costPico), \(segment.unpriced));\n"
        }
        guard cell.refused > 0 else { return sql }
        return sql + "INSERT INTO usage_refusals VALUES (\(head), 'rate_limit_exceeded', \(cell.refused)) "
            + "ON CONFLICT (tenant_id, hour, key_id, model, code) DO UPDATE SET requests = usage_refusals.requests + "
            + "\(cell.refused);\n"
    }
}
