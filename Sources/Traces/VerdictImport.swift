package import Accounting
internal import Notation
package import Postgres
internal import Store
internal import Wire

/// Loads verdicts of one source from a file: JSON Lines, or CSV whose first line names the columns. *Loop thread.*
package final class VerdictImport {
    package enum Format: String, Sendable, CaseIterable {
        case jsonl, csv
    }

    private static let batch = 500
    private static let columns = ["request_id", "choice", "verdict", "judged_at", "note"]

    private let verdicts: Verdicts
    private let source: String
    private let now: Timestamp
    private let isDryRun: Bool
    private let onFault: (TraceFault) throws -> Void
    private var parser = JSONParser()
    private var lines = LineReader()
    private var records = CSVRecords()
    private var header: [String]?
    private var waiting: [(number: Int, verdict: VerdictRecord)] = []
    private let format: Format
    /// Verdicts written, and lines that were skipped.
    package private(set) var counts = (written: 0, bad: 0)

    /// - Parameters:
    ///   - source: who judged.
    ///   - now: what stands for a `judged_at` that is absent.
    ///   - onFault: told of each bad line; by throwing it ends the import. What was read before it is still written.
    package init(
        _ database: any PostgresDatabase, _ format: Format, source: String, now: Timestamp, isDryRun: Bool,
        onFault: @escaping (TraceFault) throws -> Void
    ) {
        verdicts = Verdicts(database)
        self.format = format
        self.source = source
        self.now = now
        self.isDryRun = isDryRun
        self.onFault = onFault
    }

    /// Takes the next bytes of the file.
    package func read(_ bytes: [UInt8]) async throws {
        switch format {
        case .jsonl: for line in try lines.read(bytes) { try await take(line.number, json: line.bytes) }
        case .csv: for record in try splitting({ try $0.read(bytes) }) { try await take(record) }
        }
    }

    /// Takes the file's end.
    package func finish() async throws {
        switch format {
        case .jsonl: if let line = lines.finish() { try await take(line.number, json: line.bytes) }
        case .csv: if let record = try splitting({ try $0.finish() }) { try await take(record) }
        }
        try await flush()
    }

    /// Behind text that is no CSV nothing can be read.
    private func splitting<Value>(_ body: (inout CSVRecords) throws -> Value) throws -> Value {
        do {
            return try body(&records)
        } catch let fault as CSVRecords.Fault {
            throw TraceFault(nil, "is no CSV: \(fault.what)", line: fault.line)
        }
    }

    private func take(_ number: Int, json: [UInt8]) async throws {
        do {
            let (source, now) = (source, now)
            let verdict = try parser.read(json) { (root) throws(WireError) in
                try VerdictBody.verdict(root, path: "", source: source, now: now)
            }
            try await add(number, verdict)
        } catch let error as WireError {
            try await fail(TraceFault(nil, error.message, line: number))
        }
    }

    private func take(_ record: CSVRecords.Record) async throws {
        guard let header else {
            let unknown = record.fields.filter { !VerdictImport.columns.contains($0) }
            guard unknown.isEmpty, record.fields.contains("request_id"), record.fields.contains("verdict"),
                Set(record.fields).count == record.fields.count
            else {
                throw TraceFault(
                    nil, "must name the columns request_id and verdict, and may name choice, judged_at and note",
                    line: record.line)
            }
            self.header = record.fields
            return
        }
        guard record.fields.count == header.count else {
            return try await fail(
                TraceFault(nil, "has \(record.fields.count) fields, the header \(header.count)", line: record.line))
        }
        let cells = Dictionary(uniqueKeysWithValues: zip(header, record.fields))
        func cell(_ name: String) -> String? { cells[name].flatMap { $0.isEmpty ? nil : $0 } }
        do {
            let verdict = try VerdictBody.checked(
                path: "", request: cell("request_id") ?? "", choice: cell("choice").map { Int($0) ?? -1 } ?? 0,
                verdict: cell("verdict").flatMap { Double($0) } ?? -1, source: source, judged: cell("judged_at"),
                note: cell("note") ?? "", now: now)
            try await add(record.line, verdict)
        } catch let error as WireError {
            try await fail(TraceFault(nil, error.message, line: record.line))
        }
    }

    private func add(_ number: Int, _ verdict: VerdictRecord) async throws {
        waiting.append((number, verdict))
        if waiting.count >= VerdictImport.batch { try await flush() }
    }

    private func flush() async throws {
        let batch = waiting
        waiting = []
        guard !batch.isEmpty else { return }
        let outcomes: [VerdictOutcome]
        if isDryRun {
            outcomes = try await verdicts.check(batch.map(\.verdict))
        } else {
            outcomes = try await verdicts.record(batch.map(\.verdict), tenant: nil)
        }
        counts.written += outcomes.count { $0 == .kept }
        for (line, outcome) in zip(batch, outcomes) {
            switch outcome {
            case .kept: continue
            case .unknown:
                let id = line.verdict.request
                try await fail(TraceFault("request_id", "names no request with that choice: \(id)", line: line.number))
            case .contradicted:
                try await fail(
                    TraceFault(
                        "judged_at",
                        "is that of another verdict of this source and answer, which is kept: give the time "
                            + "of this one", line: line.number))
            }
        }
    }

    private func fail(_ fault: TraceFault) async throws {
        counts.bad += 1
        do {
            try onFault(fault)
        } catch {
            try await flush()
            throw error
        }
    }
}
