internal import Accounting
internal import Gateway
internal import Reactor
internal import Store

// The store behind the gateway's protocols: the two do not know each other.

extension KeyDirectory: KeyChecker {}

extension LedgerWriter: RequestLedger {
    func append(_ record: RequestRecord, on loop: EventLoop, durable completion: @escaping @Sendable (Bool) -> Void) {
        // A record that the database refused lies in its dead letters: it is durable.
        append(record, on: loop) { completion($0 != .stopped) }
    }
}
