internal import Notation

/// Questions that two models answered alone: the verdict and, where known, the tokens of each answer.
package struct PairTable: Sendable, Equatable {
    package struct Row: Sendable, Equatable {
        /// In the file, from 1.
        package var line: Int
        package var slmCorrect: Bool
        package var llmCorrect: Bool
        /// Zero when the table has no such column.
        package var slmTokens = 0
        package var llmTokens = 0
        package var promptTokens = 0
        package var slmCorrectLenient = false
        package var llmCorrectLenient = false
        /// All fields as they stand in the file.
        package var fields: [String]
    }

    /// Columns of the file in its order.
    package let header: [String]
    /// Where each role was found.
    package let roles: [PairColumns.Role: String]
    /// Requests whose verdicts and tokens are all known.
    package private(set) var rows: [Row] = []
    /// Requests that were left out, by the column whose field is empty.
    package private(set) var missing: [(column: String, requests: Int)] = []
    /// The same requests, with the verdicts that they have: what bounds on accuracies need.
    private(set) var incomplete: [Incomplete] = []

    /// A request that was left out.
    struct Incomplete: Sendable, Equatable {
        /// In the file, from 1.
        var line: Int
        var slmCorrect: Bool?
        var llmCorrect: Bool?
        var fields: [String]
    }

    package static func == (left: PairTable, right: PairTable) -> Bool {
        left.header == right.header && left.roles == right.roles && left.rows == right.rows
            && left.missing.elementsEqual(right.missing, by: ==) && left.incomplete == right.incomplete
    }

    package var hasTokens: Bool { roles[.slmTokens] != nil && roles[.llmTokens] != nil }
    package var hasPromptTokens: Bool { roles[.promptTokens] != nil }
    package var hasLenientVerdicts: Bool { roles[.slmCorrectLenient] != nil && roles[.llmCorrectLenient] != nil }

    /// Reads a CSV file (RFC 4180) with one header line.
    ///
    /// A row with an empty verdict or count is left out whole, so that no mean mixes different requests; a missing
    /// verdict is neither right nor wrong. Throws `SimulationError`, which names line and column.
    package init(csv: some Sequence<UInt8>, columns: PairColumns = PairColumns()) throws(SimulationError) {
        var records = try PairTable.records(csv)
        guard !records.isEmpty else {
            throw SimulationError(.data, nil, "the file is empty; the first line has to name the columns")
        }
        var names = records.removeFirst().fields
        // Spreadsheets put a byte order mark before the first name.
        if let first = names.first, first.unicodeScalars.first == "\u{FEFF}" {
            names[0] = String(String.UnicodeScalarView(first.unicodeScalars.dropFirst()))
        }
        if let twice = names.indices.first(where: { names[..<$0].contains(names[$0]) }) {
            throw SimulationError(.data, names[twice], "line 1: two columns have this name; rename one")
        }
        let places = try columns.places(in: names)
        header = names
        roles = places.mapValues { names[$0] }
        var skipped: [String: Int] = [:]
        for record in records {
            guard record.fields.count == names.count else {
                throw SimulationError(
                    .data, nil,
                    "line \(record.line) has \(record.fields.count) fields and the header has \(names.count)")
            }
            if let empty = PairTable.empty(record, places) {
                skipped[names[empty], default: 0] += 1
                incomplete.append(
                    Incomplete(
                        line: record.line,
                        slmCorrect: places[.slmCorrect].flatMap { PairTable.verdict(record.fields[$0]) },
                        llmCorrect: places[.llmCorrect].flatMap { PairTable.verdict(record.fields[$0]) },
                        fields: record.fields))
            } else {
                rows.append(try PairTable.row(record, places, names))
            }
        }
        missing = names.compactMap { name in skipped[name].map { (name, $0) } }
        guard !rows.isEmpty else {
            throw SimulationError(.data, nil, "no row has both verdicts; there is nothing to compute")
        }
    }

    /// The values of a column, row after row. Throws when there is none of this name.
    package func column(_ name: String, for option: String) throws(SimulationError) -> [String] {
        guard let place = header.firstIndex(of: name) else {
            let near = NearestName.among(header, to: name).map { "; did you mean \($0)?" } ?? ""
            throw SimulationError(
                .scenario, option,
                "there is no column \(name)\(near.isEmpty ? "; the file has \(header.joined(separator: ", "))" : near)")
        }
        return rows.map { $0.fields[place] }
    }

    package var counts: PairCounts {
        var counts = PairCounts()
        for row in rows { counts.add(slm: row.slmCorrect, llm: row.llmCorrect) }
        return counts
    }

    /// Tokens of all answers of one model.
    package var slmTokens: Int128 { rows.reduce(0) { $0 + Int128($1.slmTokens) } }
    package var llmTokens: Int128 { rows.reduce(0) { $0 + Int128($1.llmTokens) } }

    /// The same answers judged by two rules.
    package struct LabelNoise: Sendable, Equatable {
        package var strict = PairCounts()
        package var lenient = PairCounts()
        /// Verdicts in which the rules differ.
        package var slmChanges = 0
        package var llmChanges = 0
    }

    /// Nil when the table has one rule only.
    package var labelNoise: LabelNoise? {
        guard hasLenientVerdicts else { return nil }
        return rows.reduce(into: LabelNoise()) { noise, row in
            noise.strict.add(slm: row.slmCorrect, llm: row.llmCorrect)
            noise.lenient.add(slm: row.slmCorrectLenient, llm: row.llmCorrectLenient)
            if row.slmCorrect != row.slmCorrectLenient { noise.slmChanges += 1 }
            if row.llmCorrect != row.llmCorrectLenient { noise.llmChanges += 1 }
        }
    }

    static func records(_ csv: some Sequence<UInt8>) throws(SimulationError) -> [CSVRecords.Record] {
        do {
            var reader = CSVRecords()
            let records = try reader.read(csv)
            return try reader.finish().map { records + [$0] } ?? records
        } catch {
            throw SimulationError(.data, nil, "line \(error.line): \(error.what)")
        }
    }

    /// The first place whose field is needed and empty.
    private static func empty(_ record: CSVRecords.Record, _ places: [PairColumns.Role: Int]) -> Int? {
        PairColumns.Role.allCases.filter { $0 != .id }.compactMap { places[$0] }
            .first { record.fields[$0].isEmpty }
    }

    private static func row(
        _ record: CSVRecords.Record, _ places: [PairColumns.Role: Int], _ names: [String]
    ) throws(SimulationError) -> Row {
        var row = Row(line: record.line, slmCorrect: false, llmCorrect: false, fields: record.fields)
        for role in PairColumns.Role.allCases {
            guard let place = places[role] else { continue }
            let text = record.fields[place]
            func fault(_ what: String) -> SimulationError {
                SimulationError(.data, names[place], "line \(record.line): \"\(text.prefix(40))\" \(what)")
            }
            if role.isVerdict {
                guard let verdict = verdict(text) else {
                    throw fault("is no verdict; write 1 or true for right, 0 or false for wrong")
                }
                switch role {
                case .slmCorrect: row.slmCorrect = verdict
                case .llmCorrect: row.llmCorrect = verdict
                case .slmCorrectLenient: row.slmCorrectLenient = verdict
                default: row.llmCorrectLenient = verdict
                }
            } else if role != .id {
                guard let tokens = Int(text), (0...countLimit).contains(tokens) else {
                    throw fault("is no count of tokens; write a whole number from 0 to \(countLimit)")
                }
                switch role {
                case .slmTokens: row.slmTokens = tokens
                case .llmTokens: row.llmTokens = tokens
                default: row.promptTokens = tokens
                }
            }
        }
        return row
    }

    /// More tokens in one answer are an error of the file; money of a billion such rows still fits 128 bits.
    private static let countLimit = 1_000_000_000

    private static func verdict(_ text: String) -> Bool? {
        switch text {
        case "1", "true", "True": true
        case "0", "false", "False": false
        default: nil
        }
    }
}
