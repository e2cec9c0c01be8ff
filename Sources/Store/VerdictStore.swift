package import Accounting
package import Postgres
package import Reactor
internal import Synchronization

/// Writes the verdicts that callers post, over a connection of its own.
package final class VerdictStore: Sendable {
    /// Posts that may wait for the database at a time; the next is refused.
    private static let limit = 256

    private let connection: String
    private let loop: EventLoop
    private let pool = Mutex<LoopBound<PostgresPool>?>(nil)

    /// Starts to connect on `loop`, which may be the ledger's.
    ///
    /// - Parameter connection: libpq's connection string or URI.
    package init(connection: String, loop: EventLoop) {
        self.connection = connection
        self.loop = loop
        loop.post { [self] in
            let postgres = PostgresConfiguration(
                connection: connection, application: "relaygate verdicts", connectTimeout: .seconds(2),
                statementTimeout: .seconds(5), answerTimeout: .seconds(6), queueLimit: VerdictStore.limit)
            let made = PostgresPool(
                postgres, size: 1, on: loop, waitLimit: .seconds(2), random: SystemRandom.word)
            pool.withLock { $0 = LoopBound(made, on: loop) }
        }
    }

    /// Writes verdicts of a tenant's requests, from any thread. `completion` is called on `target`, once: with what
    /// became of each, in their order, or with nil when the database did not answer. Writing the same again changes
    /// nothing.
    package func record(
        _ verdicts: [VerdictRecord], tenant: UUID7, on target: EventLoop,
        _ completion: @escaping @Sendable ([VerdictOutcome]?) -> Void
    ) {
        loop.post { [self] in
            guard let pool = pool.withLock({ $0 })?.value else { return target.post { completion(nil) } }
            pool.query(VerdictStatement.insert, VerdictStatement.binds(verdicts, tenant: tenant)) { result in
                let outcomes = try? VerdictStatement.outcomes(result.get())
                target.post { completion(outcomes) }
            }
        }
    }

    /// Closes the connection; what is under way gets nil.
    package func stop() {
        loop.post { [self] in
            pool.withLock { $0.take() }?.value.close()
        }
    }
}

/// Verdicts as the tools read and write them. *Loop thread.*
package struct Verdicts {
    private let database: any PostgresDatabase

    package init(_ database: any PostgresDatabase) { self.database = database }

    /// Writes verdicts; says what became of each.
    ///
    /// - Parameters:
    ///   - tenant: whose requests they must be; nil for anybody's.
    ///   - requests: those that the verdicts came with, as in a trace; where their person was forgotten, notes are left
    ///     out.
    package func record(
        _ verdicts: [VerdictRecord], tenant: UUID7?, with requests: [RequestRecord] = []
    ) async throws(StoreError) -> [VerdictOutcome] {
        let binds = VerdictStatement.binds(verdicts, tenant: tenant, with: requests)
        let rows = try await storing { () async throws(PostgresError) in
            try await database.query(VerdictStatement.insert, binds)
        }
        return try reading { () throws(PostgresError) in try VerdictStatement.outcomes(rows) }
    }

    /// What would become of verdicts, without writing.
    package func check(_ verdicts: [VerdictRecord]) async throws(StoreError) -> [VerdictOutcome] {
        let rows = try await storing { () async throws(PostgresError) in
            try await database.query(
                VerdictStatement.check,
                [
                    .uuids(verdicts.map(\.request)), .int8s(verdicts.map { Int64($0.choice) }),
                    .texts(verdicts.map(\.source)), .float8s(verdicts.map(\.verdict)),
                    .timestamps(verdicts.map(\.judged)),
                ])
        }
        return try reading { () throws(PostgresError) in try VerdictStatement.outcomes(rows) }
    }

    /// Everything that was said of a request, by choice and source, the latest of a source first.
    package func list(_ request: UUID7) async throws(StoreError) -> [VerdictRecord] {
        let rows = try await storing { () async throws(PostgresError) in
            try await database.query(VerdictStatement.list, [.uuid(request)])
        }
        return try reading { () throws(PostgresError) in try rows.mapRows(VerdictRecord.init) }
    }
}

extension VerdictRecord {
    /// Reads a row of `verdicts`.
    init(_ row: PostgresRow) throws(PostgresError) {
        self.init(
            request: try row.uuid("request_id"), choice: try row.int("choice"), source: try row.text("source"),
            verdict: try row.double("verdict"), judged: try row.timestamp("judged_at"), note: try row.text("note"))
    }
}

enum VerdictStatement {
    /// One row for each verdict, in their order. Of those that contradict one another the one that is there counts,
    /// or the first. The tenant of a verdict is its request's. Who was forgotten is asked first, because the answer
    /// holds a lock: a forgetting that begins later waits, and finds the notes.
    static let insert: PostgresStatement = """
        WITH forgotten AS MATERIALIZED (
            SELECT f.id FROM forgotten_requests($8, $9, $10, $11) AS f (id)
        ), given AS MATERIALIZED (
            SELECT g.request_id, g.choice, g.source, g.verdict, g.judged_at, g.place, r.tenant_id,
                first_value(g.verdict) OVER (
                    PARTITION BY g.request_id, g.choice, g.source, g.judged_at ORDER BY g.place) AS first,
                CASE WHEN g.request_id IN (SELECT f.id FROM forgotten f) THEN '' ELSE g.note END AS note
            FROM unnest(
                $1::uuid[], $2::int8[], $3::text[], $4::float8[], $5::timestamptz[], $6::text[]
            ) WITH ORDINALITY AS g (request_id, choice, source, verdict, judged_at, note, place)
            LEFT JOIN requests r ON r.id = g.request_id AND g.choice < r.choices
                AND ($7::uuid IS NULL OR r.tenant_id = $7)
        ), written AS (
            INSERT INTO verdicts (request_id, choice, tenant_id, source, verdict, judged_at, note)
            SELECT request_id, choice, tenant_id, source, verdict, judged_at, note FROM given
            WHERE tenant_id IS NOT NULL ORDER BY place ON CONFLICT DO NOTHING
        )
        SELECT g.tenant_id IS NOT NULL AS is_known, g.verdict <> coalesce(v.verdict, g.first) AS is_contradicted
        FROM given g LEFT JOIN verdicts v USING (request_id, choice, source, judged_at) ORDER BY place
        """

    static let check: PostgresStatement = """
        SELECT EXISTS (SELECT FROM requests r WHERE r.id = g.request_id AND g.choice < r.choices) AS is_known,
            g.verdict <> coalesce(v.verdict, first_value(g.verdict) OVER (
                PARTITION BY g.request_id, g.choice, g.source, g.judged_at ORDER BY g.place)) AS is_contradicted
        FROM unnest($1::uuid[], $2::int8[], $3::text[], $4::float8[], $5::timestamptz[])
            WITH ORDINALITY AS g (request_id, choice, source, verdict, judged_at, place)
            LEFT JOIN verdicts v USING (request_id, choice, source, judged_at) ORDER BY place
        """

    static let list: PostgresStatement = """
        SELECT * FROM verdicts WHERE request_id = $1 ORDER BY choice, source, judged_at DESC
        """

    static func binds(
        _ verdicts: [VerdictRecord], tenant: UUID7?, with requests: [RequestRecord] = []
    ) -> [PostgresValue] {
        [
            .uuids(verdicts.map(\.request)), .int8s(verdicts.map { Int64($0.choice) }),
            .texts(verdicts.map(\.source)), .float8s(verdicts.map(\.verdict)), .timestamps(verdicts.map(\.judged)),
            .texts(verdicts.map { LedgerStatement.storable($0.note) }), .uuid(tenant),
            .uuids(requests.map(\.id)), .uuids(requests.map(\.tenant)), .timestamps(requests.map(\.started)),
            .texts(requests.map(LedgerStatement.user)),
        ]
    }

    static func outcomes(_ rows: PostgresRows) throws(PostgresError) -> [VerdictOutcome] {
        try rows.mapRows { (row) throws(PostgresError) in
            guard try row.bool("is_known") else { return .unknown }
            return try row.bool("is_contradicted") ? .contradicted : .kept
        }
    }
}
