internal import Accounting
internal import Postgres
internal import Reactor

/// What the database says about a key, and the epoch in which it was true.
struct KeyFinding: Sendable {
    let epoch: Int
    let result: KeyResult
}

/// The key directory's side towards the database. It lives on one loop: `@unchecked Sendable` because the compiler
/// cannot see that `start`, `find` and `stop` are only posted to that loop.
final class KeyDatabase: @unchecked Sendable {
    private let configuration: KeyDirectoryConfiguration
    private let loop: EventLoop
    private var pool: PostgresPool?
    private var timer: LoopTimer?

    init(_ configuration: KeyDirectoryConfiguration, loop: EventLoop) {
        self.configuration = configuration
        self.loop = loop
    }

    /// Polls the epoch from now on. `learned` gets each reading and the time at which it was asked for.
    func start(_ learned: @escaping (Int, ContinuousClock.Instant) -> Void) {
        loop.checkIsolated()
        let postgres = PostgresConfiguration(
            connection: configuration.connection, application: "relaygate keys", connectTimeout: .seconds(2),
            statementTimeout: .seconds(2), answerTimeout: .seconds(3), queueLimit: configuration.lookupLimit)
        pool = PostgresPool(
            postgres, size: configuration.connections, on: loop, waitLimit: configuration.outageGrace,
            random: SystemRandom.word)
        poll(learned)
    }

    func stop() {
        loop.checkIsolated()
        timer?.cancel()
        pool?.close()
        pool = nil
    }

    private func poll(_ learned: @escaping (Int, ContinuousClock.Instant) -> Void) {
        guard let pool else { return }
        let asked = ContinuousClock.now
        pool.query("SELECT epoch FROM control_epoch", []) { [weak self] result in
            if let epoch = try? result.get().single().int("epoch") { learned(epoch, asked) }
            guard let self, self.pool != nil else { return }
            timer = loop.schedule(after: configuration.pollInterval) { [weak self] in self?.poll(learned) }
        }
    }

    /// Asks for a key; nil when the database did not answer.
    func find(_ key: APIKey, _ completion: @escaping (KeyFinding?) -> Void) {
        loop.checkIsolated()
        guard let pool else { return completion(nil) }
        pool.query(KeyDatabase.findKey, [.text(key.publicID)]) { result in
            completion(try? KeyDatabase.read(result.get().single(), key))
        }
    }

    private static func read(_ row: PostgresRow, _ key: APIKey) throws(PostgresError) -> KeyFinding {
        let epoch = try row.int("epoch")
        // A key that does not exist is compared as well, so that the time taken does not tell which public ids do.
        let stored = try row.optionalBytes("digest")
        let isSame = isEqualInConstantTime(stored ?? [UInt8](repeating: 0, count: 32), key.digest)
        guard stored != nil, isSame else { return KeyFinding(epoch: epoch, result: .unknown) }
        if try row.bool("is_revoked") { return KeyFinding(epoch: epoch, result: .revoked) }
        let identity = KeyIdentity(
            tenantID: try row.uuid("tenant_id"), tenantName: try row.text("tenant_name"), keyID: try row.uuid("id"),
            publicID: key.publicID, scopes: Set(try row.texts("scopes").compactMap(\.self)),
            capture: Capture(rawValue: try row.text("capture")) ?? .none,
            defaultModel: try row.optionalText("default_model"), expires: try row.optionalTimestamp("expires_at"),
            tagKeys: try row.texts("tag_keys").compactMap(\.self))
        return KeyFinding(epoch: epoch, result: .found(identity))
    }

    /// One row in any case, so that the epoch comes from the same snapshot as the key.
    private static let findKey: PostgresStatement = """
        SELECT e.epoch, k.id, k.tenant_id, k.digest, k.scopes, k.expires_at, t.name AS tenant_name, t.capture,
            t.default_model, t.tag_keys, k.revoked_at IS NOT NULL OR t.state <> 'active' AS is_revoked
        FROM control_epoch e
        LEFT JOIN api_keys k ON k.public_id = $1
        LEFT JOIN tenants t ON t.id = k.tenant_id
        """
}

/// Compares without stopping at the first difference.
func isEqualInConstantTime(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    guard left.count == right.count else { return false }
    return zip(left, right).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
}
