internal import Accounting
internal import Reactor

/// A record on its way to the database.
struct LedgerEntry: Sendable {
    let record: RequestRecord
    let bytes: Int
    /// Where `acknowledged` is called; the ledger's own loop when nil.
    let target: EventLoop?
    let acknowledged: @Sendable (LedgerResult) -> Void

    init(_ record: RequestRecord, _ target: EventLoop?, _ acknowledged: @escaping @Sendable (LedgerResult) -> Void) {
        self.record = record
        self.target = target
        self.acknowledged = acknowledged
        bytes = LedgerEntry.estimate(record)
    }

    /// Memory that the record holds, about.
    private static func estimate(_ record: RequestRecord) -> Int {
        var bytes = 500 + record.model.utf8.count + record.policy.utf8.count
        for segment in record.segments { bytes += 320 + (segment.error?.utf8.count ?? 0) }
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
