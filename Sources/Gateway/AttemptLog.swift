internal import Accounting
internal import RelayCore

/// What was tried and measured for one answer; becomes the ledger's segments.
struct AttemptLog {
    /// An attempt that is under way.
    struct Open {
        let upstream: Upstream
        let role: Role
        let attempt: Int
        let began: Accounting.Timestamp
        let beganAt: ContinuousClock.Instant
    }

    /// An attempt that is over. Times in microseconds from its start.
    struct Closed {
        let open: Open
        let end: UpstreamGeneration.End
        let firstText: Int64?
        let duration: Int64
        /// What leases pay for it.
        let charges: [ChargeRecord]

        var error: String? {
            if case .failed(let failure) = end.kind { failure.label } else { nil }
        }
    }

    private(set) var records: [SegmentRecord] = []
    private let choice: Int

    init(choice: Int) { self.choice = choice }

    /// An attempt that failed and is followed by another for the same segment.
    mutating func addFailed(_ closed: Closed, _ failure: UpstreamFailure, sequence: Int) {
        var record = makeRecord(closed, sequence: sequence)
        record.finish = "failed"
        records.append(record)
    }

    /// The attempt that ended a segment.
    mutating func add(_ segment: Segment, _ closed: Closed, sequence: Int) {
        var record = makeRecord(closed, sequence: sequence)
        record.requested = segment.requested
        record.granted = segment.granted
        record.commandTokens = min(segment.commandTokens, closed.end.generatedTokens)
        record.commandSource = segment.commandSource.rawValue
        record.finish = segment.finish.name
        records.append(record)
    }

    /// A call that was not made.
    mutating func addRefused(_ segment: Segment, model: String, sequence: Int, at time: Accounting.Timestamp) {
        records.append(
            SegmentRecord(
                choice: choice, sequence: sequence, attempt: 1, role: segment.role.rawValue, model: model,
                upstream: "", requested: segment.requested, granted: segment.granted, promptTokens: nil,
                cachedTokens: nil, generatedTokens: 0, commandTokens: 0, source: segment.source.rawValue,
                commandSource: segment.commandSource.rawValue, finish: segment.finish.name, started: time,
                firstTokenMicroseconds: nil, durationMicroseconds: 0, error: nil))
    }

    private func makeRecord(_ closed: Closed, sequence: Int) -> SegmentRecord {
        var record = SegmentRecord(
            choice: choice, sequence: sequence, attempt: closed.open.attempt, role: closed.open.role.rawValue,
            model: closed.open.upstream.model, upstream: closed.open.upstream.name, requested: nil, granted: nil,
            promptTokens: closed.end.promptTokens, cachedTokens: closed.end.cachedTokens,
            generatedTokens: closed.end.generatedTokens, commandTokens: 0, source: closed.end.source.rawValue,
            commandSource: CountSource.counted.rawValue, finish: "", started: closed.open.began,
            firstTokenMicroseconds: closed.firstText, durationMicroseconds: closed.duration, error: closed.error)
        record.cacheWriteTokens = closed.end.cacheWriteTokens
        record.charges = closed.charges
        return record
    }
}

extension Segment.Finish {
    /// The word for it in the ledger and in the `relay` object.
    var name: String {
        switch self {
        case .call: "call"
        case .malformed: "malformed"
        case .forbidden: "forbidden"
        case .stop: "stop"
        case .length: "length"
        case .cancelled: "cancelled"
        case .refused(let reason): "refused_" + reason.rawValue
        case .failed: "failed"
        case .other(let reason): String(reason.prefix(40))
        }
    }
}
