package import Accounting
package import Postgres

/// Tenants and keys, for the tools. *Loop thread.*
package struct Administration {
    private let database: any PostgresDatabase
    private let now: () -> Timestamp
    private let random: (Int) -> [UInt8]

    /// - Parameters:
    ///   - now: the time written into rows and ids.
    ///   - random: that many bytes which nobody can foretell; secrets are made of them.
    package init(
        _ database: any PostgresDatabase, now: @escaping () -> Timestamp,
        random: @escaping (Int) -> [UInt8] = SystemRandom.bytes
    ) {
        self.database = database
        self.now = now
        self.random = random
    }

    // MARK: Tenants

    /// Makes a tenant. Throws `exists` when the name is taken, `invalid` when it is not 1 to 63 lower-case letters,
    /// digits, dots, hyphens and underscores with a letter or digit at both ends.
    package func createTenant(
        _ name: String, capture: Capture = .none, defaultModel: String? = nil
    ) async throws(StoreError) -> Tenant {
        let rows = try await run(
            """
            INSERT INTO tenants (id, name, capture, default_model, created_at) VALUES ($1, $2, $3, $4, $5)
            RETURNING id, name, state, capture, default_model, created_at
            """,
            [.uuid(newID()), .text(name), .text(capture.rawValue), .text(defaultModel), .timestamp(now())],
            exists: "a tenant named \(quoted(name)) exists already",
            invalid: "\(quoted(name)) cannot name a tenant: 1 to 63 of a-z 0-9 . _ -, a letter or digit at both ends")
        return try reading { () throws(PostgresError) in try Tenant(rows.single()) }
    }

    /// All tenants, deleted ones included, by name.
    package func listTenants() async throws(StoreError) -> [Tenant] {
        let rows = try await run(
            "SELECT id, name, state, capture, default_model, created_at FROM tenants ORDER BY name", [])
        return try reading { () throws(PostgresError) in try rows.mapRows(Tenant.init) }
    }

    /// The tenant of that name, if it is in force.
    package func tenant(_ name: String) async throws(StoreError) -> Tenant {
        guard let found = try await listTenants().first(where: { $0.name == name && $0.isActive }) else {
            throw try await noTenant(name)
        }
        return found
    }

    /// Chooses which members of `metadata`, and whether `user`, are kept and counted; `limit` values of each are told
    /// apart, as before where it is nil. Returns the limit. Gateways know within two seconds.
    package func setTags(_ keys: [String], limit: Int?, tenant: String) async throws(StoreError) -> Int {
        _ = try await self.tenant(tenant)
        let rows = try await storing { () async throws(PostgresError) in
            try await database.query(
                """
                UPDATE tenants SET tag_keys = $2, tag_limit = coalesce($3, tag_limit)
                WHERE name = $1 AND state = 'active' RETURNING tag_limit
                """, [.text(tenant), .texts(keys), .int(limit)])
        }
        return try reading { () throws(PostgresError) in try rows.single().int("tag_limit") }
    }

    /// Sets what is stored of a tenant's prompts and answers; gateways know within two seconds.
    package func setCapture(_ capture: Capture, tenant: String) async throws(StoreError) -> Tenant {
        try await one(
            """
            UPDATE tenants SET capture = $2 WHERE name = $1 AND state = 'active'
            RETURNING id, name, state, capture, default_model, created_at
            """, [.text(tenant), .text(capture.rawValue)], tenant: tenant)
    }

    /// Sets the public model name for requests that name none; nil takes it away.
    package func setDefaultModel(_ model: String?, tenant: String) async throws(StoreError) -> Tenant {
        try await one(
            """
            UPDATE tenants SET default_model = $2 WHERE name = $1 AND state = 'active'
            RETURNING id, name, state, capture, default_model, created_at
            """, [.text(tenant), .text(model)], tenant: tenant)
    }

    /// Ends a tenant: its keys are refused within two seconds, its ledger stays, its name stays taken.
    package func deleteTenant(_ name: String) async throws(StoreError) -> Tenant {
        try await one(
            """
            UPDATE tenants SET state = 'deleted' WHERE name = $1 AND state = 'active'
            RETURNING id, name, state, capture, default_model, created_at
            """, [.text(name)], tenant: name)
    }

    // MARK: Keys

    /// What a key may be allowed to do; the gateway asks for `inference`.
    package static let scopes = ["inference", "usage.read", "trace.read", "admin"]

    /// Makes a key. Its secret is in the result and nowhere else.
    package func createKey(
        tenant: String, label: String, scopes: [String] = ["inference"], expires: Timestamp? = nil
    ) async throws(StoreError) -> CreatedKey {
        if let unknown = scopes.first(where: { !Administration.scopes.contains($0) }) {
            throw StoreError(
                .invalid, "\(quoted(unknown)) is no scope: use \(Administration.scopes.joined(separator: ", "))")
        }
        let (text, key) = APIKey.generate(random: random)
        let rows = try await run(
            """
            WITH k AS (
                INSERT INTO api_keys (id, tenant_id, public_id, digest, label, scopes, expires_at, created_at)
                SELECT $2, t.id, $3, $4, $5, $6, $7, $8 FROM tenants t WHERE t.name = $1 AND t.state = 'active'
                RETURNING *)
            SELECT k.id, $1 AS tenant, k.public_id, k.label, k.scopes, k.expires_at, k.created_at, k.revoked_at FROM k
            """,
            [
                .text(tenant), .uuid(newID()), .text(key.publicID), .bytea(key.digest), .text(label), .texts(scopes),
                .timestamp(expires), .timestamp(now()),
            ],
            invalid: "the label has 1 to 200 characters, and there is at least one scope")
        guard !rows.isEmpty else { throw try await noTenant(tenant) }
        let record = try reading { () throws(PostgresError) in try KeyRecord(rows.single()) }
        return CreatedKey(secret: text, key: record)
    }

    /// Keys of a tenant, or of all when it is nil, oldest first; revoked ones included.
    package func listKeys(tenant: String? = nil) async throws(StoreError) -> [KeyRecord] {
        let rows = try await run(
            """
            SELECT k.id, t.name AS tenant, k.public_id, k.label, k.scopes, k.expires_at, k.created_at, k.revoked_at
            FROM api_keys k JOIN tenants t ON t.id = k.tenant_id
            WHERE $1 IS NULL OR t.name = $1 ORDER BY k.id
            """, [.text(tenant)])
        if rows.isEmpty, let tenant, try await !listTenants().contains(where: { $0.name == tenant }) {
            throw try await noTenant(tenant)
        }
        return try reading { () throws(PostgresError) in try rows.mapRows(KeyRecord.init) }
    }

    /// Revokes a key for good: refused everywhere within two seconds. Revoking twice keeps the first time.
    package func revokeKey(_ publicID: String) async throws(StoreError) -> KeyRecord {
        let rows = try await run(
            """
            WITH k AS (
                UPDATE api_keys SET revoked_at = coalesce(revoked_at, $2) WHERE public_id = $1 RETURNING *)
            SELECT k.id, t.name AS tenant, k.public_id, k.label, k.scopes, k.expires_at, k.created_at, k.revoked_at
            FROM k JOIN tenants t ON t.id = k.tenant_id
            """, [.text(publicID), .timestamp(now())])
        guard !rows.isEmpty else { throw StoreError(.notFound, "no key has the public id \(quoted(publicID))") }
        return try reading { () throws(PostgresError) in try KeyRecord(rows.single()) }
    }

    // MARK: Common

    private func newID() -> UUID7 {
        let milliseconds = UInt64(clamping: now().microseconds / 1000)
        return UUID7(milliseconds: milliseconds) { random(8).reduce(0) { $0 << 8 | UInt64($1) } }
    }

    private func run(
        _ statement: PostgresStatement, _ binds: [PostgresValue], exists: String = "it exists already",
        invalid: String = "the value is not allowed"
    ) async throws(StoreError) -> PostgresRows {
        do {
            return try await database.query(statement, binds)
        } catch {
            switch error.sqlState {
            case "23505": throw StoreError(.exists, exists)
            case "23514", "22021": throw StoreError(.invalid, invalid)
            default: throw StoreError(error)
            }
        }
    }

    private func one(
        _ statement: PostgresStatement, _ binds: [PostgresValue], tenant: String
    ) async throws(StoreError) -> Tenant {
        let rows = try await run(statement, binds)
        guard !rows.isEmpty else { throw try await noTenant(tenant) }
        return try reading { () throws(PostgresError) in try Tenant(rows.single()) }
    }

    private func noTenant(_ name: String) async throws(StoreError) -> StoreError {
        let tenants = try await listTenants()
        if tenants.contains(where: { $0.name == name }) {
            return StoreError(.notFound, "the tenant \(quoted(name)) was deleted")
        }
        let nearest = nearestName(to: name, among: tenants.filter(\.isActive).map(\.name))
        return StoreError(
            .notFound, "no tenant is named \(quoted(name))" + (nearest.map { "; did you mean \(quoted($0))?" } ?? ""))
    }
}
