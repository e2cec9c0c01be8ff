internal import Accounting
internal import Arguments
internal import Foundation
internal import Notation
internal import Simulator
internal import Synchronization

/// The requests whose answers under some policy only a new run can tell, as CSV in the order of the trace.
final class RerunList: Sendable {
    private struct State {
        var waiting: [UInt8] = []
        var isLost = false
        var isFinished = false
    }

    private let path: String
    private let temporary: String
    /// Whether `temporary` is another file than `path`.
    private let isBeside: Bool
    private let names: [String]
    private let handle: FileHandle
    private let state = Mutex(State())

    /// Writes beside the file, which appears when it is whole.
    init(_ path: String, _ scenario: Scenario) throws(CommandExit) {
        self.path = path
        let kind = SimulateText.kind(path)
        // What is no file, such as a device or a link, is written to: a new file would take its place.
        isBeside = kind == nil || kind == .typeRegular
        temporary = isBeside ? path + ".part" : path
        names = scenario.policies.map(\.name)
        guard kind != .typeDirectory, !isBeside || FileManager.default.createFile(atPath: temporary, contents: nil),
            let handle = FileHandle(forWritingAtPath: temporary)
        else { throw RerunList.failure(path) }
        self.handle = handle
        if !isBeside { try? handle.truncate(atOffset: 0) }
        let header = ["request_id", "tenant", "model", "policy", "arrived", "rerun_for"]
        state.withLock { $0.waiting += Array(CSVText.line(header.map(CSVText.Cell.text)).utf8) }
    }

    /// A list that was not finished is no list.
    deinit {
        if isBeside, !state.withLock({ $0.isFinished }) { try? FileManager.default.removeItem(atPath: temporary) }
    }

    var adding: @Sendable (LoggedRequest, UInt64) throws -> Void {
        { request, policies in self.add(request, policies) }
    }

    /// - Parameter policies: bits of the scenario's policies, by their places.
    func add(_ request: LoggedRequest, _ policies: UInt64) {
        let wanted = names.indices.filter { policies >> UInt64($0) & 1 == 1 }.map { names[$0] }
        let cells = [
            request.id.description, request.tenant, request.model, request.policy, request.arrived.rfc3339,
            wanted.joined(separator: "; "),
        ]
        let line = CSVText.line(cells.map(CSVText.Cell.text))
        state.withLock { state in
            state.waiting += Array(line.utf8)
            if state.waiting.count >= 1 << 16 { flush(&state) }
        }
    }

    func finish() throws(CommandExit) {
        let isLost = state.withLock { state in
            flush(&state)
            return state.isLost
        }
        guard !isLost, (try? handle.close()) != nil else { throw RerunList.failure(path) }
        if isBeside {
            guard unsafe rename(temporary, path) == 0 else { throw RerunList.failure(path) }
        }
        state.withLock { $0.isFinished = true }
    }

    private func flush(_ state: inout State) {
        do {
            try handle.write(contentsOf: state.waiting)
        } catch {
            state.isLost = true
        }
        state.waiting.removeAll(keepingCapacity: true)
    }

    private static func failure(_ path: String) -> CommandExit {
        .failure("--rerun-list: \(path) cannot be written; is there such a directory, and is there room?")
    }
}
