internal import Accounting
internal import Gateway
internal import Reactor
internal import Store

// The store behind the gateway's protocols: the two do not know each other.

extension KeyDirectory: KeyChecker {}

extension LeaseManager: BudgetKeeper {}

extension VerdictStore: VerdictKeeper {}

extension UsageService: UsageReporter {}

/// The ledger, and the leases that learn from it which charges are durable.
struct ChargingLedger: RequestLedger {
    let ledger: LedgerWriter
    let leases: LeaseManager
    let usage: UsageKeeper

    var isFull: Bool { ledger.isFull }
    var isSpooling: Bool { ledger.statistics.spool.files > 0 }

    func append(
        _ record: RequestRecord, on loop: EventLoop,
        durable completion: @escaping @Sendable (_ isDurable: Bool, _ cost: RequestCost) -> Void
    ) {
        let charges = record.segments.flatMap(\.charges)
        var settled: (@Sendable () -> Void)?
        if !charges.isEmpty {
            settled = { [leases, tenant = record.tenant] in leases.confirm(charges, tenant: tenant) }
        }
        ledger.append(record, on: loop, settled: settled) { receipt in
            // A record that the database refused lies in its dead letters, charged; one that the database cannot take
            // lies in the spool: both are durable.
            completion(receipt.result != .stopped, receipt.cost)
        }
    }

    func noteRefusal(tenant: UUID7, key: UUID7, model: String, code: String, at time: Timestamp) {
        usage.noteRefusal(tenant: tenant, key: key, model: model, code: code, at: time)
    }
}
