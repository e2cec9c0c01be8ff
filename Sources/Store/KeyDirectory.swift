package import Accounting
internal import Postgres
package import Reactor
internal import Synchronization

/// The settings of a key directory.
package struct KeyDirectoryConfiguration: Sendable {
    /// libpq's connection string or URI.
    package var connection: String
    /// Connections for keys that are not remembered. Default 2.
    package var connections = 2
    /// How often the epoch is read. Default 500 ms.
    package var pollInterval: Duration = .milliseconds(500)
    /// No key is accepted when the last good reading of the epoch is older; so this bounds how long a revoked key may
    /// live. Default 2 s.
    package var outageGrace: Duration = .seconds(2)
    /// Keys remembered; all are forgotten when one more comes. Default 100,000.
    package var cacheLimit = 100_000
    /// Refusals remembered, likewise. Default 10,000.
    package var negativeLimit = 10_000
    /// Keys being looked up at a time; the next is `unavailable`. Default 4,096.
    package var lookupLimit = 4096

    package init(connection: String) { self.connection = connection }
}

/// Says whose key a request presents: from memory when the key was seen before, else from the database.
///
/// What is remembered is keyed by the digest of the whole key, never by its public part, and dropped whenever the
/// control epoch moves. A revoked key is refused on every gateway within `outageGrace`: either its epoch was read
/// since, or the reading is too old and every key is `unavailable`.
package final class KeyDirectory: Sendable {
    private typealias Waiter = (target: EventLoop, completion: @Sendable (KeyResult) -> Void)

    private struct State {
        var epoch: Int?
        /// When the question was sent whose answer is `epoch`.
        var fresh: ContinuousClock.Instant?
        var found: [KeyDigest: KeyIdentity] = [:]
        var refused: [KeyDigest: KeyResult] = [:]
        var waiters: [KeyDigest: [Waiter]] = [:]
        var waiterCount = 0
    }

    private let configuration: KeyDirectoryConfiguration
    private let now: @Sendable () -> Timestamp
    private let state = Mutex(State())
    private let loop: EventLoop
    private let database: KeyDatabase

    /// Starts to connect and to poll on `loop`, which may be the ledger's.
    package init(
        _ configuration: KeyDirectoryConfiguration, loop: EventLoop, now: @escaping @Sendable () -> Timestamp
    ) {
        self.configuration = configuration
        self.loop = loop
        self.now = now
        database = KeyDatabase(configuration, loop: loop)
        loop.post { [self] in
            database.start { self.learn(epoch: $0, asked: $1) }
        }
    }

    /// Whether keys can be judged now.
    package var isReady: Bool {
        state.withLock { isFresh($0) }
    }

    /// The answer at once when no question to the database is needed. Nil when one is: `completion` is then called on
    /// `target`, once.
    package func lookup(
        _ presented: String, on target: EventLoop, _ completion: @escaping @Sendable (KeyResult) -> Void
    ) -> KeyResult? {
        guard let key = APIKey(presented) else { return .unknown }
        let digest = KeyDigest(key.digest)
        let (answer, isFirst): (KeyResult?, Bool) = state.withLock { state in
            guard isFresh(state) else { return (.unavailable, false) }
            if let identity = state.found[digest] { return (judge(identity), false) }
            if let refusal = state.refused[digest] { return (refusal, false) }
            guard state.waiterCount < configuration.lookupLimit else { return (.unavailable, false) }
            let isFirst = state.waiters[digest] == nil
            state.waiters[digest, default: []].append((target, completion))
            state.waiterCount += 1
            return (nil, isFirst)
        }
        if isFirst {
            loop.post { [self] in
                database.find(key) { self.learn(digest, $0) }
            }
        }
        return answer
    }

    /// The same for callers that can wait; resumes where it was called.
    package func lookup(_ presented: String) async -> KeyResult {
        await withCheckedContinuation { continuation in
            let answer = lookup(presented, on: loop) { continuation.resume(returning: $0) }
            if let answer { continuation.resume(returning: answer) }
        }
    }

    /// Closes the connections; from then on every key that is not remembered is `unavailable`, and soon all are.
    package func stop() {
        loop.post { [self] in database.stop() }
    }

    private func isFresh(_ state: borrowing State) -> Bool {
        guard let fresh = state.fresh else { return false }
        return ContinuousClock.now - fresh <= configuration.outageGrace
    }

    private func judge(_ identity: KeyIdentity) -> KeyResult {
        if let expires = identity.expires, expires <= now() { return .expired }
        return .found(identity)
    }

    private func learn(epoch: Int, asked: ContinuousClock.Instant) {
        state.withLock { state in
            move(&state, to: epoch)
            state.fresh = asked
        }
    }

    private func move(_ state: inout State, to epoch: Int) {
        guard state.epoch != epoch else { return }
        state.epoch = epoch
        state.found.removeAll(keepingCapacity: true)
        state.refused.removeAll(keepingCapacity: true)
    }

    private func learn(_ digest: KeyDigest, _ found: KeyFinding?) {
        let (answer, waiters): (KeyResult, [Waiter]) = state.withLock { state in
            let waiters = state.waiters.removeValue(forKey: digest) ?? []
            state.waiterCount -= waiters.count
            guard let found else { return (.unavailable, waiters) }
            if let epoch = state.epoch, found.epoch > epoch { move(&state, to: found.epoch) }
            // An answer from before the last change is true no more for those who ask later.
            if found.epoch == state.epoch { remember(&state, digest, found.result) }
            if case .found(let identity) = found.result { return (judge(identity), waiters) }
            return (found.result, waiters)
        }
        for waiter in waiters {
            waiter.target.post { waiter.completion(answer) }
        }
    }

    private func remember(_ state: inout State, _ digest: KeyDigest, _ result: KeyResult) {
        if case .found(let identity) = result {
            if state.found.count >= configuration.cacheLimit { state.found.removeAll() }
            state.found[digest] = identity
        } else {
            if state.refused.count >= configuration.negativeLimit { state.refused.removeAll() }
            state.refused[digest] = result
        }
    }
}

/// A digest of 32 bytes as a dictionary's key.
struct KeyDigest: Hashable, Sendable {
    private let words: SIMD4<UInt64>

    init(_ digest: [UInt8]) {
        precondition(digest.count == 32, "a SHA-256 digest has 32 bytes")
        func word(_ index: Int) -> UInt64 { digest[(8 * index)..<(8 * index + 8)].reduce(0) { $0 << 8 | UInt64($1) } }
        words = SIMD4(word(0), word(1), word(2), word(3))
    }
}
