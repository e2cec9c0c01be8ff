internal import Accounting
internal import Arguments
internal import Notation
internal import Store

/// `relaygate trace export`.
enum TraceExport {
    static func run(
        _ arguments: ParsedArguments, _ filter: TraceFilter, _ source: LedgerSource
    ) throws(CommandExit) {
        let format = TraceFile.Format(rawValue: arguments.text("format") ?? "") ?? .jsonl
        guard let path = arguments.text("output") else {
            if arguments.flag("resume") { throw .badUsage("--resume: needs --output, the file to go on with") }
            return try write(filter, format, source, hasHeader: true, shows: !Terminal.isTerminal) {
                Terminal.write($0)
            }
        }
        let file = try TraceFile(path, format, resumes: arguments.flag("resume"))
        var rest = filter
        if let position = file.position {
            rest.after = position.after
            rest.limit = filter.limit.map { max(0, $0 - position.requests) }
        }
        try write(rest, format, source, hasHeader: file.isEmpty, shows: true) { file.write($0) }
        try file.finish()
    }

    /// Writes requests as they come, in pieces of 64 KiB.
    ///
    /// - Parameter shows: whether progress may be shown: not between lines of the export itself.
    private static func write(
        _ filter: TraceFilter, _ format: TraceFile.Format, _ source: LedgerSource, hasHeader: Bool, shows: Bool,
        _ output: @escaping @Sendable (String) -> Void
    ) throws(CommandExit) {
        let (count, pruned) = try Database.use(source) { database in
            let reader = TraceReader(database)
            var progress = shows ? try await ExportProgress.start(reader, filter) : nil
            if format == .csv, hasHeader { output(TraceTable.columns.joined(separator: ",") + "\r\n") }
            var piece = ""
            let count = try await reader.forEach(filter) { trace in
                switch format {
                case .jsonl: piece += trace.json + "\n"
                case .csv: for cells in TraceTable.rows(trace) { piece += row(cells) }
                }
                if piece.utf8.count >= 1 << 16 {
                    output(piece)
                    piece = ""
                }
                progress?.advance(trace.request.id)
            }
            output(piece)
            progress?.finish()
            return (count, try await PrunedMonths.between(filter.since, filter.until, on: database))
        }
        // Of one that goes on, the requests may all be there already.
        if count == 0, hasHeader { Terminal.note("no request fits") }
        if let warning = pruned.warning { Terminal.note(warning) }
    }

    /// A request on one line each, which `--resume` relies on: line breaks become spaces. The id has no quotes.
    private static func row(_ cells: [String]) -> String {
        CSVText.line(
            zip(TraceTable.columns, cells).map { column, cell in
                if cell.isEmpty { return .none }
                if TraceTable.structures.contains(column) { return .json(cell) }
                return TraceTable.texts.contains(column) ? .text(Terminal.oneLine(cell)) : .bare(cell)
            })
    }
}

/// How far an export is, on a terminal's standard error: requests, rate, share and rest. The share is that of the time
/// from the first request to the last, which is what the ids tell without counting.
struct ExportProgress {
    private let first: Int64
    private let last: Int64
    private var bar: ProgressBar
    private var count = 0

    /// Nil when nobody is looking.
    static func start(_ reader: TraceReader, _ filter: TraceFilter) async throws -> ExportProgress? {
        guard let bar = ProgressBar(), let extent = try await reader.extent(filter) else { return nil }
        return ExportProgress(first: extent.first.microseconds, last: extent.last.microseconds, bar: bar)
    }

    private init(first: Int64, last: Int64, bar: ProgressBar) {
        self.first = first
        self.last = last
        self.bar = bar
    }

    /// - Parameter requests: how many were done since, the one of this id with them.
    mutating func advance(_ id: UUID7, by requests: Int = 1) {
        count += requests
        guard count % 100 < requests, bar.isDue() else { return }
        let share = last == first ? 1 : Double(id.time.microseconds - first) / Double(last - first)
        bar.show(share: share, requests: count)
    }

    func finish() { bar.finish(requests: count) }
}
