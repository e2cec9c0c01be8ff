internal import Synchronization

/// Whether the ledger was written, told by its thread to the one that waits.
final class FlushOutcome: Sendable {
    private let value = Atomic<Bool>(false)
    var isWritten: Bool { value.load(ordering: .acquiring) }
    func set(_ isWritten: Bool) { value.store(isWritten, ordering: .releasing) }
}
