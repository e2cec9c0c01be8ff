package import Accounting
package import Postgres
package import Simulator
internal import Store

/// What SQL does for a simulation of the ledger: it chooses the requests, cuts them into pages, and gives of each what
/// a replay needs. *Loop thread.*
package struct LedgerQuery: Sendable {
    /// A range of ids, both included.
    package struct Page: Sendable, Equatable {
        package var first: UUID7
        package var last: UUID7
    }

    /// Requests of a page: what a thread holds in memory at a time.
    package static let page = 2_000

    private let low: UUID7
    private let high: UUID7
    /// Any of these; empty for all.
    private let tenants: [UUID7]
    private let policies: [String]
    /// All of these.
    private let selectedTags: [(key: String, value: String)]
    /// Tags that the scenario asks for, in the order in which statements give them.
    let tags: [String]

    /// - Parameters:
    ///   - tags: the tags that a replay needs.
    ///   - after: only requests with a larger id.
    /// - Throws: `StoreError` when a tenant of the selection does not exist.
    package init(
        _ selection: TraceSelection, tags: Set<String>, after: UUID7?, on database: any PostgresDatabase
    ) async throws {
        let since = UUID7.first(at: selection.from)
        low = after.map { max(since, $0.successor ?? $0) } ?? since
        high = selection.to.map { UUID7.first(at: $0).predecessor } ?? UUID7(high: .max, low: .max)
        policies = selection.policies
        selectedTags = selection.tags
        self.tags = tags.sorted()
        guard !selection.tenants.isEmpty else {
            tenants = []
            return
        }
        let rows = try await database.query(LedgerQuery.tenantIDs, [.texts(selection.tenants)])
        var found: [String: UUID7] = [:]
        for row in rows { found[try row.text("name")] = try row.uuid("id") }
        tenants = try selection.tenants.map { name in
            guard let id = found[name] else {
                throw StoreError(.notFound, "no tenant is named \(name.debugDescription)")
            }
            return id
        }
    }

    /// Whether all requests of a range of ids are chosen, so that their segments need no list of ids.
    private var isWhole: Bool { tenants.isEmpty && policies.isEmpty && selectedTags.isEmpty }

    /// The pages of the next `limit` requests, in the order of ids, and how many requests these are.
    package func pages(
        after: UUID7?, limit: Int, on database: any PostgresDatabase
    ) async throws(PostgresError) -> (pages: [Page], requests: Int) {
        var first = after.map { max(low, $0.successor ?? $0) } ?? low
        let binds = binds(Page(first: first, last: high)) + [.int(limit), .int(LedgerQuery.page)]
        let rows = try await database.query(LedgerQuery.ends, binds)
        var pages: [Page] = []
        for row in rows {
            let last = try row.uuid("id")
            pages.append(Page(first: first, last: last))
            first = last.successor ?? last
        }
        return (pages, try rows.last?.int("place") ?? 0)
    }

    /// The requests of a page, in the order of ids.
    ///
    /// - Parameters:
    ///   - isPart: whether only some are wanted.
    ///   - isWanted: asked before segments are read, so that those of others are not.
    /// - Throws: `PostgresError`, or `TraceFault` for a number that no replay takes.
    package func requests(
        _ page: Page, on database: any PostgresDatabase, isPart: Bool = false,
        where isWanted: (LoggedRequest) -> Bool = { _ in true }
    ) async throws -> [LoggedRequest] {
        var requests = LedgerPage(tags: tags)
        try requests.readRequests(
            try await database.query(LedgerQuery.requests, binds(page) + [.texts(tags)]), where: isWanted)
        let isWhole = isWhole && !isPart
        let range: [PostgresValue] = [.uuid(page.first), .uuid(page.last)]
        let ids: [PostgresValue] = isWhole ? [] : [.uuids(requests.ids)]
        try requests.readSegments(
            try await database.query(isWhole ? LedgerQuery.segments : LedgerQuery.someSegments, range + ids))
        try requests.readVerdicts(
            try await database.query(isWhole ? LedgerQuery.verdicts : LedgerQuery.someVerdicts, range + ids))
        return requests.requests
    }

    private func binds(_ page: Page) -> [PostgresValue] {
        [
            .uuid(page.first), .uuid(page.last), .uuids(tenants), .texts(policies),
            .texts(selectedTags.map(\.key)), .texts(selectedTags.map(\.value)),
        ]
    }

    // MARK: Statements

    private static let tenantIDs: PostgresStatement = "SELECT id, name FROM tenants WHERE name = ANY ($1)"

    /// The last request of each page, with its place among all.
    private static let ends: PostgresStatement = """
        SELECT id, place FROM (
            SELECT c.id, row_number() OVER (ORDER BY c.id) AS place,
                lead(c.id) OVER (ORDER BY c.id) IS NULL AS is_last FROM (
                SELECT r.id FROM requests r
                WHERE r.id >= $1 AND r.id <= $2 AND (cardinality($3::uuid[]) = 0 OR r.tenant_id = ANY ($3))
                    AND (cardinality($4::text[]) = 0 OR r.policy = ANY ($4))
                    AND (cardinality($5::text[]) = 0 OR r.tags @> jsonb_object($5, $6::text[]))
                ORDER BY r.id LIMIT $7) c) n
        WHERE place % $8 = 0 OR is_last ORDER BY place
        """

    private static let requests: PostgresStatement = """
        SELECT r.id, coalesce(t.name, '') AS tenant, r.model, r.policy, r.propensity, r.started_at, r.choices,
            r.prompt_tokens, CASE WHEN cardinality($7::text[]) = 0 THEN '{}' ELSE
                ARRAY(SELECT CASE WHEN r.tags ? w.key THEN coalesce(r.tags ->> w.key, '') END
                    FROM unnest($7) WITH ORDINALITY AS w (key, place) ORDER BY w.place) END AS tags
        FROM requests r LEFT JOIN tenants t ON t.id = r.tenant_id
        WHERE r.id >= $1 AND r.id <= $2 AND (cardinality($3::uuid[]) = 0 OR r.tenant_id = ANY ($3))
            AND (cardinality($4::text[]) = 0 OR r.policy = ANY ($4))
            AND (cardinality($5::text[]) = 0 OR r.tags @> jsonb_object($5, $6::text[]))
        ORDER BY r.id
        """

    private static let segments: PostgresStatement = """
        SELECT request_id, choice, seq, attempt, role, model, requested, granted, prompt_tokens, cached_tokens,
            cache_write_tokens, generated_tokens, command_tokens, finish, started_at, duration_us, cost_pico
        FROM segments WHERE request_id >= $1 AND request_id <= $2 ORDER BY request_id, choice, seq, attempt
        """

    private static let someSegments: PostgresStatement = """
        SELECT request_id, choice, seq, attempt, role, model, requested, granted, prompt_tokens, cached_tokens,
            cache_write_tokens, generated_tokens, command_tokens, finish, started_at, duration_us, cost_pico
        FROM segments WHERE request_id >= $1 AND request_id <= $2 AND request_id = ANY ($3)
        ORDER BY request_id, choice, seq, attempt
        """

    /// The latest of each source.
    private static let verdicts: PostgresStatement = """
        SELECT DISTINCT ON (request_id, choice, source COLLATE "C") request_id, choice, source, verdict FROM verdicts
        WHERE request_id >= $1 AND request_id <= $2
        ORDER BY request_id, choice, source COLLATE "C", judged_at DESC
        """

    private static let someVerdicts: PostgresStatement = """
        SELECT DISTINCT ON (request_id, choice, source COLLATE "C") request_id, choice, source, verdict FROM verdicts
        WHERE request_id >= $1 AND request_id <= $2 AND request_id = ANY ($3)
        ORDER BY request_id, choice, source COLLATE "C", judged_at DESC
        """
}
