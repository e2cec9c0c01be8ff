internal import Accounting
internal import Reactor

/// A record on its way to the database.
struct LedgerEntry: Sendable {
    let record: RequestRecord
    let bytes: Int
    /// Where `acknowledged` is called; the ledger's own loop when nil.
    let target: EventLoop?
    let acknowledged: @Sendable (LedgerReceipt) -> Void
    /// Called once when its charges are in the database, which may be long after it was acknowledged; on the ledger's
    /// loop.
    let settled: (@Sendable () -> Void)?
    /// Whether it came from the spool, where it stays until the database has it.
    let isSpooled: Bool

    init(
        _ record: RequestRecord, _ target: EventLoop?, settled: (@Sendable () -> Void)? = nil, isSpooled: Bool = false,
        _ acknowledged: @escaping @Sendable (LedgerReceipt) -> Void
    ) {
        self.record = record
        self.target = target
        self.acknowledged = acknowledged
        self.settled = settled
        self.isSpooled = isSpooled
        bytes = LedgerEntry.estimate(record)
    }

    /// Memory that the record holds, about.
    private static func estimate(_ record: RequestRecord) -> Int {
        var bytes = 500 + record.model.utf8.count + record.policy.utf8.count
        for segment in record.segments { bytes += 320 + (segment.error?.utf8.count ?? 0) }
        for tag in record.tags { bytes += 80 + tag.key.utf8.count + tag.value.utf8.count }
        for payload in record.payloads { bytes += 160 + (payload.body?.count ?? 0) }
        return bytes
    }
}

/// Acknowledges many entries with one message per loop.
///
/// - Parameter costs: by request, where the database said.
func acknowledge(
    _ entries: some Sequence<LedgerEntry>, _ result: LedgerResult, costs: [UUID7: RequestCost] = [:]
) {
    typealias Call = @Sendable () -> Void
    var groups: [(target: EventLoop, calls: [Call])] = []
    var own: [Call] = []
    for entry in entries {
        let isNothing = result == .committed && entry.record.segments.isEmpty
        let cost = costs[entry.record.id] ?? (isNothing ? .pico(0) : .unknown)
        let receipt = LedgerReceipt(result, cost: cost)
        let call: Call = { [acknowledged = entry.acknowledged] in acknowledged(receipt) }
        guard let target = entry.target else {
            own.append(call)
            continue
        }
        if let index = groups.firstIndex(where: { $0.target === target }) {
            groups[index].calls.append(call)
        } else {
            groups.append((target, [call]))
        }
    }
    for (target, calls) in groups {
        target.post {
            for call in calls { call() }
        }
    }
    for call in own { call() }
}
