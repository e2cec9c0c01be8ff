package import Accounting
package import Migrations
package import Postgres

/// One line of `migrate status`.
package struct MigrationStatus: Sendable, Equatable {
    package enum State: Sendable, Equatable {
        case applied(Timestamp)
        case pending
        /// Applied, but from a file with another content.
        case changed
        /// Applied by another program; this one does not have it.
        case unknown
    }
    package let version: Int
    package let name: String
    package let state: State
}

/// Brings the schema up to this program's migrations, each in a transaction of its own. *Loop thread.*
///
/// Any number of migrators may run at once: each takes a lock of the transaction and looks again under it.
package struct Migrator {
    private let connection: PostgresConnection
    private let migrations: [Migration]

    /// `connection` is used by nobody else meanwhile, and should have no `answerTimeout`: a migration may be long.
    package init(_ connection: PostgresConnection, migrations: [Migration] = Migrations.all) {
        precondition(migrations.map(\.version) == Array(1..<(migrations.count + 1)), "migrations are numbered from 1")
        self.connection = connection
        self.migrations = migrations
    }

    /// Applies what is pending; returns it. Throws `drift` when the database holds something else than this program's
    /// migrations, and changes nothing then.
    package func apply() async throws(StoreError) -> [Migration] {
        try await storing { () async throws(PostgresError) in try await prepareTable() }
        var applied: [Migration] = []
        for migration in migrations where try await apply(migration) { applied.append(migration) }
        return applied
    }

    /// What is applied and what is not.
    package func status() async throws(StoreError) -> [MigrationStatus] {
        let rows = try await storing { () async throws(PostgresError) in
            let found = try await connection.query("SELECT to_regclass('schema_migrations') IS NOT NULL AS found")
            guard try found.single().bool("found") else { return [AppliedMigration]() }
            return try await readApplied()
        }
        let byVersion = Dictionary(rows.map { ($0.version, $0) }, uniquingKeysWith: { first, _ in first })
        let known = migrations.map { migration in
            guard let row = byVersion[migration.version] else {
                return MigrationStatus(version: migration.version, name: migration.name, state: .pending)
            }
            let same = row.checksum == SHA256.digest(migration.sql)
            return MigrationStatus(
                version: row.version, name: row.name, state: same ? .applied(row.appliedAt) : .changed)
        }
        let unknown = rows.filter { $0.version < 1 || $0.version > migrations.count }
        return known + unknown.map { MigrationStatus(version: $0.version, name: $0.name, state: .unknown) }
    }

    private func prepareTable() async throws(PostgresError) {
        try await connection.withTransaction { () async throws(PostgresError) in
            _ = try await connection.query("SELECT pg_advisory_xact_lock($1)", [.int8(Migrator.lock)])
            try await connection.execute(Migrator.table)
        }
    }

    /// False when it is applied already.
    private func apply(_ migration: Migration) async throws(StoreError) -> Bool {
        var drift: StoreError?
        let isNew = try await storing { () async throws(PostgresError) in
            try await connection.withTransaction { () async throws(PostgresError) in
                _ = try await connection.query("SELECT pg_advisory_xact_lock($1)", [.int8(Migrator.lock)])
                let applied = try await readApplied()
                drift = findDrift(applied)
                if drift != nil || applied.contains(where: { $0.version == migration.version }) { return false }
                let start = ContinuousClock.now
                try await connection.execute(String(decoding: migration.sql, as: UTF8.self))
                let (seconds, attoseconds) = (ContinuousClock.now - start).components
                _ = try await connection.query(
                    """
                    INSERT INTO schema_migrations (version, name, checksum, duration_us) VALUES ($1, $2, $3, $4)
                    """,
                    [
                        .int(migration.version), .text(migration.name), .bytea(SHA256.digest(migration.sql)),
                        .int8(seconds * 1_000_000 + attoseconds / 1_000_000_000_000),
                    ])
                return true
            }
        }
        if let drift { throw drift }
        return isNew
    }

    private func findDrift(_ applied: [AppliedMigration]) -> StoreError? {
        for (index, row) in applied.enumerated() {
            guard row.version >= 1, row.version <= migrations.count else {
                return StoreError(
                    .drift,
                    "the database has migration \(row.version) (\(row.name)), which this program does not know: "
                        + "it is older than the schema; use the newer program")
            }
            guard row.version == index + 1 else {
                return StoreError(
                    .drift, "migration \(index + 1) is missing in the database, yet \(row.version) is applied")
            }
            let migration = migrations[index]
            guard row.checksum == SHA256.digest(migration.sql) else {
                return StoreError(
                    .drift,
                    "migration \(row.version) (\(row.name)) was applied with another content than this program has; "
                        + "a released migration is never edited")
            }
        }
        return nil
    }

    private func readApplied() async throws(PostgresError) -> [AppliedMigration] {
        let rows = try await connection.query(
            "SELECT version, name, checksum, applied_at FROM schema_migrations ORDER BY version")
        var applied: [AppliedMigration] = []
        for row in rows {
            applied.append(
                AppliedMigration(
                    version: try row.int("version"), name: try row.text("name"), checksum: try row.bytes("checksum"),
                    appliedAt: try row.timestamp("applied_at")))
        }
        return applied
    }

    /// Any number that nothing else in the database uses as an advisory lock.
    private static let lock: Int64 = 7_236_837_482_961_124

    private static let table = """
        CREATE TABLE IF NOT EXISTS schema_migrations (
            version     bigint      PRIMARY KEY CHECK (version > 0),
            name        text        NOT NULL,
            checksum    bytea       NOT NULL CHECK (octet_length(checksum) = 32),
            applied_at  timestamptz NOT NULL DEFAULT now(),
            duration_us bigint      NOT NULL
        )
        """
}

private struct AppliedMigration: Sendable {
    let version: Int
    let name: String
    let checksum: [UInt8]
    let appliedAt: Timestamp
}
