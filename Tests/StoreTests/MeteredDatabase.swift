import Accounting
import Postgres
import Reactor
import Store
import TestSupport

/// A migrated database with the tenants `acme` and `other`, a key of the first, and rows put there by SQL.
struct MeteredDatabase: Sendable {
    let server: TemporaryPostgres
    let url: String
    static let acme = UUID7(high: 0x0190_0000_0000_7000, low: 1 << 63 | 1)
    static let other = UUID7(high: 0x0190_0000_0000_7000, low: 1 << 63 | 2)
    static let key = UUID7(high: 0x0190_0000_0000_7000, low: 1 << 63 | 3)

    init(_ server: TemporaryPostgres? = nil) async throws {
        self.server = try server ?? TemporaryPostgres.shared.get()
        url = try await self.server.makeMigratedDatabase()
        try sql(
            """
            INSERT INTO tenants (id, name, created_at) VALUES ('\(Self.acme)', 'acme', now()), ('\(Self.other)', 'other', now());
            INSERT INTO api_keys (id, tenant_id, public_id, digest, label, scopes, created_at)
            VALUES ('\(Self.key)', '\(Self.acme)', 'AcmeAcmeAcme', decode(repeat('ab', 32), 'hex'), '', '{inference}', now())
            """)
    }

    @discardableResult
    func sql(_ text: String) throws -> String { try server.sql(text, on: url) }

    /// Runs a piece of the price book.
    func book<Value: Sendable>(_ body: @escaping @Sendable (PriceBook) async throws -> Value) async throws -> Value {
        let url = self.url
        return try await onLoop { actor in
            let connection = try await PostgresConnection.connect(
                .patient(url), on: actor.loop)
            defer { connection.close() }
            return try await body(PriceBook(connection))
        }
    }

    /// An attempt at a segment; `cost` in pico-dollars.
    struct Attempt {
        var model = "big"
        var upstream = "large"
        var prompt: Int?
        var cached: Int?
        var written: Int?
        var generated = 0
        var cost: Int?
    }

    /// Puts a request with its attempts into the ledger.
    func add(_ number: Int, tenant: UUID7 = Self.acme, at moment: String, _ attempts: [Attempt]) throws {
        func text(_ value: Int?) -> String { value.map(String.init) ?? "NULL" }
        let id = "(left(uuid7_bound('\(moment)')::text, 24) || lpad('\(number)', 12, '0'))::uuid"
        try sql(
            """
            INSERT INTO requests (id, tenant_id, key_id, model, policy, policy_version, endpoint, is_stream, choices,
                started_at, finished_at, outcome, finish, calls, malformed, prompt_tokens, slm_tokens, llm_tokens,
                command_tokens, visible_tokens, tags)
            SELECT \(id), '\(tenant)', '\(Self.key)', 'relay', 'relay', '1', 'chat', false, 1, '\(moment)', '\(moment)',
                'completed', 'stop', 1, 0, 0, 0, \(attempts.map(\.generated).reduce(0, +)), 0, 0, '{"team":"a"}'
            """)
        for (place, attempt) in attempts.enumerated() {
            try sql(
                """
                INSERT INTO segments (request_id, choice, seq, attempt, role, model, upstream, prompt_tokens, cached_tokens,
                    cache_write_tokens, generated_tokens, command_tokens, source, command_source, finish, started_at,
                    duration_us, cost_pico)
                SELECT \(id), 0, \(place), 1, 'llm', '\(attempt.model)', '\(attempt.upstream)', \(text(attempt.prompt)),
                    \(text(attempt.cached)), \(text(attempt.written)), \(attempt.generated), 0, 'reported', 'counted',
                    'stop', '\(moment)', 5, \(text(attempt.cost))
                """)
        }
    }
}
