internal import Accounting
internal import Reactor

/// A record on its way to the database.
struct LedgerEntry: Sendable {
    let record: RequestRecord
    let bytes: Int
    /// Where `acknowledged` is called; the ledger's own loop when nil.
    let target: EventLoop?
    let acknowledged: @Sendable (LedgerResult) -> Void
    /// Called once when its charges are in the database, which may be long after it was acknowledged; on the ledger's
    /// loop.
    let settled: (@Sendable () -> Void)?
    /// Whether it came from the spool, where it stays until the database has it.
    let isSpooled: Bool

    init(
        _ record: RequestRecord, _ target: EventLoop?, settled: (@Sendable () -> Void)? = nil, isSpooled: Bool = false,
        _ acknowledged: @escaping @Sendable (LedgerResult) -> Void
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
func acknowledge(_ entries: some Sequence<LedgerEntry>, _ result: LedgerResult) {
    var groups: [(target: EventLoop, calls: [@Sendable (LedgerResult) -> Void])] = []
    var own: [@Sendable (LedgerResult) -> Void] = []
    for entry in entries {
        guard let target = entry.target else {
            own.append(entry.acknowledged)
            continue
        }
        if let index = groups.firstIndex(where: { $0.target === target }) {
            groups[index].calls.append(entry.acknowledged)
        } else {
            groups.append((target, [entry.acknowledged]))
        }
    }
    for (target, calls) in groups {
        target.post {
            for call in calls { call(result) }
        }
    }
    for call in own { call(result) }
}
