internal import Accounting
internal import Gateway
internal import Reactor
internal import Store

/// The key directory of the store, as the gateway wants it.
struct StoredKeys: KeyChecker {
    let directory: KeyDirectory

    var isReady: Bool { directory.isReady }

    func check(
        _ key: String, on loop: EventLoop, _ completion: @escaping @Sendable (KeyCheck) -> Void
    ) -> KeyCheck? {
        directory.lookup(key, on: loop) { completion(KeyCheck($0)) }.map { KeyCheck($0) }
    }
}

extension KeyCheck {
    fileprivate init(_ result: KeyResult) {
        switch result {
        case .found(let identity): self = .caller(Caller(identity))
        case .unknown, .revoked, .expired: self = .refused
        case .unavailable: self = .unavailable
        }
    }
}

extension Caller {
    fileprivate init(_ identity: KeyIdentity) {
        let capture: Capture =
            switch identity.capture {
            case .none: .none
            case .hashes: .hashes
            case .text: .text
            }
        self.init(
            tenant: identity.tenantID, tenantName: identity.tenantName, key: identity.keyID,
            publicKey: identity.publicID, scopes: identity.scopes, capture: capture,
            defaultModel: identity.defaultModel)
    }
}

/// The ledger writer of the store, as the gateway wants it.
struct StoredLedger: RequestLedger {
    let writer: LedgerWriter

    var isFull: Bool { writer.isFull }

    func append(_ record: RequestRecord, on loop: EventLoop, _ completion: @escaping @Sendable (Bool) -> Void) {
        // A record that the database refused lies in its dead letters: it is durable.
        writer.append(record, on: loop) { completion($0 != .stopped) }
    }
}
