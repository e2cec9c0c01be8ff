package import Accounting
internal import Postgres

/// A filter of a report that nothing fits, whatever the time: most likely a typing error.
package struct UnmatchedFilter: Sendable, Equatable {
    /// Why nothing fits it.
    package enum Reason: Sendable, Equatable {
        /// Nothing that was counted has the value.
        case unknown
        /// No tenant keeps the tag.
        case unknownTag
        /// The key is that of a tenant that another filter leaves out.
        case otherTenant(String)
    }

    package let dimension: UsageDimension
    package let value: String
    package let reason: Reason
    /// What there is instead: values, or names of tags.
    package let known: [String]
}

extension UsageReader {
    /// Values of a tag that are looked through for the one that was meant.
    private static let valueLimit = 2000

    /// The filters of a report that nothing fits, of the tenants that the query names. Asks the database only where one
    /// can be missed: a row fits a value of each filter.
    package func unmatched(_ query: UsageQuery, _ report: UsageReport) async throws(StoreError) -> [UnmatchedFilter] {
        guard report.rows.isEmpty || query.filters.values.contains(where: { $0.count > 1 }) else { return [] }
        var found = try await otherTenants(query)
        let named = query.filters.filter { [.model, .policy, .upstream, .upstreamModel].contains($0.key) }
        if !named.isEmpty {
            let known = try await names(query)
            for (dimension, values) in named {
                found += UsageReader.missing(values, dimension, known.filter { $0.name == dimension.name }.map(\.value))
            }
        }
        for (dimension, values) in query.filters {
            guard case .tag(let key) = dimension else { continue }
            found += try await tags(key, values, query)
        }
        return found.sorted { ($0.dimension.name, $0.value) < ($1.dimension.name, $1.value) }
    }

    private static func missing(
        _ values: [String], _ dimension: UsageDimension, _ known: [String]
    ) -> [UnmatchedFilter] {
        values.filter { !known.contains($0) }.map {
            UnmatchedFilter(dimension: dimension, value: $0, reason: .unknown, known: known)
        }
    }

    private func otherTenants(_ query: UsageQuery) async throws(StoreError) -> [UnmatchedFilter] {
        guard let keys = query.filters[.key], let tenants = query.filters[.tenant] else { return [] }
        let rows = try await storing { () async throws(PostgresError) in
            try await database.query(
                """
                SELECT k.public_id, t.name FROM api_keys k JOIN tenants t ON t.id = k.tenant_id
                WHERE k.public_id = ANY ($1) AND t.name <> ALL ($2)
                """, [.texts(keys), .texts(tenants)])
        }
        return try reading { () throws(PostgresError) in
            try rows.mapRows { (row) throws(PostgresError) in
                UnmatchedFilter(
                    dimension: .key, value: try row.text("public_id"), reason: .otherTenant(try row.text("name")),
                    known: [])
            }
        }
    }

    /// What models, policies and servers were ever counted as, by the dimension's name.
    private func names(_ query: UsageQuery) async throws(StoreError) -> [(name: String, value: String)] {
        let rows = try await storing { () async throws(PostgresError) in
            try await database.query(
                """
                WITH u AS MATERIALIZED (
                    SELECT DISTINCT a.model, a.policy, a.upstream, a.upstream_model FROM (
                        SELECT tenant_id, model, policy, upstream, upstream_model FROM usage_segment_days
                        UNION ALL SELECT tenant_id, model, policy, upstream, upstream_model FROM usage_segment_deltas
                        UNION ALL SELECT tenant_id, model, policy, NULL, NULL FROM usage_request_days
                        UNION ALL SELECT tenant_id, model, policy, NULL, NULL FROM usage_request_deltas
                        UNION ALL SELECT tenant_id, model, NULL, NULL, NULL FROM usage_refusals) a
                    WHERE $1::text[] = '{}' OR a.tenant_id IN (SELECT t.id FROM tenants t WHERE t.name = ANY ($1)))
                SELECT DISTINCT v.name, v.value FROM u CROSS JOIN LATERAL (VALUES ('model', u.model),
                    ('policy', u.policy), ('upstream', u.upstream), ('upstream_model', u.upstream_model)) AS v (name, value)
                WHERE v.value IS NOT NULL ORDER BY 1, 2
                """, [.texts(query.filters[.tenant] ?? [])])
        }
        return try reading { () throws(PostgresError) in
            try rows.mapRows { (row) throws(PostgresError) in
                (name: try row.text("name"), value: try row.text("value"))
            }
        }
    }

    private func tags(
        _ key: String, _ values: [String], _ query: UsageQuery
    ) async throws(StoreError) -> [UnmatchedFilter] {
        let (keys, found) = try await storing { () async throws(PostgresError) in
            let tenants = PostgresValue.texts(query.filters[.tenant] ?? [])
            return (
                try await database.query(
                    """
                    SELECT DISTINCT k.key AS value FROM tenants t CROSS JOIN LATERAL unnest(t.tag_keys) AS k (key)
                    WHERE $1::text[] = '{}' OR t.name = ANY ($1)
                    UNION
                    SELECT v.key FROM tag_values v JOIN tenants t ON t.id = v.tenant_id
                    WHERE $1::text[] = '{}' OR t.name = ANY ($1)
                    ORDER BY 1
                    """, [tenants]),
                // Those that are asked for come first, so that the limit does not cut them.
                try await database.query(
                    """
                    SELECT v.value FROM tag_values v JOIN tenants t ON t.id = v.tenant_id
                    WHERE v.key = $1 AND ($2::text[] = '{}' OR t.name = ANY ($2))
                    GROUP BY 1 ORDER BY v.value = ANY ($3) DESC, 1 LIMIT $4
                    """, [.text(key), tenants, .texts(values), .int(UsageReader.valueLimit)])
            )
        }
        let (known, told) = try reading { () throws(PostgresError) in
            (
                try keys.mapRows { (row) throws(PostgresError) in try row.text("value") },
                try found.mapRows { (row) throws(PostgresError) in try row.text("value") }
            )
        }
        guard known.contains(key) else {
            return values.map {
                UnmatchedFilter(dimension: .tag(key), value: $0, reason: .unknownTag, known: known)
            }
        }
        return UsageReader.missing(values, .tag(key), told + ["other"])
    }
}
