package import Accounting
package import Reactor

/// Who a request belongs to, as its key says.
package struct Caller: Sendable, Equatable {
    /// How much of a request's text the ledger keeps for this tenant.
    package enum Capture: String, Sendable { case none, hashes, text }

    package var tenant: UUID7
    package var tenantName: String
    package var key: UUID7
    /// The part of the key that is safe to log.
    package var publicKey: String
    package var scopes: Set<String>
    package var capture: Capture
    /// The model that answers when the request names `default`.
    package var defaultModel: String?

    package init(
        tenant: UUID7, tenantName: String, key: UUID7, publicKey: String, scopes: Set<String>, capture: Capture,
        defaultModel: String?
    ) {
        self.tenant = tenant
        self.tenantName = tenantName
        self.key = key
        self.publicKey = publicKey
        self.scopes = scopes
        self.capture = capture
        self.defaultModel = defaultModel
    }
}

/// What became of a presented key.
package enum KeyCheck: Sendable, Equatable {
    case caller(Caller)
    /// Unknown, revoked or expired: the caller is not told which.
    case refused
    /// The database has been out of reach for longer than a revocation may take to be effective.
    case unavailable
}

/// Finds the tenant of a key.
package protocol KeyChecker: Sendable {
    /// The answer at once if it is known, else nil and later a call of `completion` on `loop`.
    func check(
        _ key: String, on loop: EventLoop, _ completion: @escaping @Sendable (KeyCheck) -> Void
    ) -> KeyCheck?
    /// Whether keys can be checked now.
    var isReady: Bool { get }
}

/// Keeps the ledger.
package protocol RequestLedger: Sendable {
    /// No more requests may be admitted until what is queued has been written.
    var isFull: Bool { get }
    /// Writes a request and its segments. `completion` is called on `loop` when they are durable, with `false` if they
    /// never will be.
    func append(_ record: RequestRecord, on loop: EventLoop, _ completion: @escaping @Sendable (Bool) -> Void)
}
