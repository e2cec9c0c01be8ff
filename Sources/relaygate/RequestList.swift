internal import Accounting
internal import Arguments
internal import Foundation
internal import Notation
internal import Simulator
internal import Synchronization

/// A list of requests as CSV, in the order of the trace.
final class RequestList: Sendable {
    private struct State {
        var waiting: [UInt8] = []
        var isLost = false
        var isFinished = false
    }

    private let path: String
    private let option: String
    private let temporary: String
    /// Whether `temporary` is another file than `path`.
    private let isBeside: Bool
    private let handle: FileHandle
    private let state = Mutex(State())

    /// Writes beside the file, which appears when it is whole.
    ///
    /// - Parameters:
    ///   - option: the option that names the file.
    ///   - columns: those behind the request's own.
    init(_ path: String, option: String, columns: [String]) throws(CommandExit) {
        self.path = path
        self.option = option
        let kind = SimulateText.kind(path)
        // What is no file, such as a device or a link, is written to: a new file would take its place.
        isBeside = kind == nil || kind == .typeRegular
        temporary = isBeside ? path + ".part" : path
        guard kind != .typeDirectory, !isBeside || FileManager.default.createFile(atPath: temporary, contents: nil),
            let handle = FileHandle(forWritingAtPath: temporary)
        else { throw RequestList.failure(path, option) }
        self.handle = handle
        if !isBeside { try? handle.truncate(atOffset: 0) }
        let header = ["request_id", "tenant", "model", "policy", "arrived"] + columns
        state.withLock { $0.waiting += Array(CSVText.line(header.map(CSVText.Cell.text)).utf8) }
    }

    /// A list that was not finished is no list.
    deinit {
        if isBeside, !state.withLock({ $0.isFinished }) { try? FileManager.default.removeItem(atPath: temporary) }
    }

    /// - Parameter cells: those of the columns behind the request's own.
    func add(_ request: LoggedRequest, _ cells: [String]) {
        let own = [
            request.id.description, request.tenant, request.model, request.policy, request.arrived.rfc3339,
        ]
        let line = CSVText.line((own + cells).map(CSVText.Cell.text))
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
        guard !isLost, (try? handle.close()) != nil else { throw RequestList.failure(path, option) }
        if isBeside {
            guard unsafe rename(temporary, path) == 0 else { throw RequestList.failure(path, option) }
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

    private static func failure(_ path: String, _ option: String) -> CommandExit {
        .failure("--\(option): \(path) cannot be written; is there such a directory, and is there room?")
    }
}
