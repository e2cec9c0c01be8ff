internal import Notation
internal import PaperTables

/// The paper's tables, read from the files in `Simulations/paper`.
package struct PaperData: Sendable {
    /// A number as it is printed in the paper.
    package struct Published: Sendable, Equatable {
        package let text: String
        package let number: Number
        /// Digits behind the point.
        package var decimals: Int { text.split(separator: ".").dropFirst().first?.count ?? 0 }

        /// Whether a number rounds to what is printed, half away from zero.
        package func agrees(_ derived: Number) -> Bool { Decimals.text(derived, decimals: decimals) == text }

        /// Whether a number is at most half a unit of the last printed digit away.
        package func isWithinHalf(_ derived: Number) -> Bool {
            let unit = (0..<decimals).reduce(Number.one) { unit, _ in unit * .ratio(1, 10) }
            let difference = derived - number
            let half = unit * .ratio(1, 2)
            return difference <= half && difference >= .zero - half
        }
    }

    package struct Benchmark: Sendable, Equatable {
        package let name: String
        package let title: String
        package let questions: Int
        /// Answers drawn for each question; accuracies are means over them.
        package let answersEach: Int
        package let isHard: Bool
        package var answers: Int { questions * answersEach }
    }

    /// A row of accuracies in percent.
    package struct System: Sendable, Equatable {
        package let table: String
        package let slm: String
        package let name: String
        package let cells: [Published]
        package let average: Published?
        /// LLM tokens over all tokens, as a share; nil where the paper has none.
        package let callRatio: Number?
        package var title: String { slm + " " + name }
    }

    /// A row of Table 4.
    package struct TeacherFree: Sendable, Equatable {
        package let name: String
        package let hasTeacher: Bool
        package let easy: Published
        package let hard: Published
    }

    /// A number of the text.
    package struct Claim: Sendable, Equatable {
        package enum Rule: String, Sendable { case equals, below, above }
        package let name: String
        package let section: String
        package let claim: String
        package let rule: Rule
        package let published: Published
        package let unit: String

        /// Whether a derived number is what the text says.
        package func agrees(_ derived: Number) -> Bool {
            switch rule {
            case .equals: published.agrees(derived)
            case .below: derived < published.number
            case .above: derived > published.number
            }
        }
    }

    package let benchmarks: [Benchmark]
    package let mathematics: [System]
    package let domainTitles: [String]
    package let domains: [System]
    package let ablations: [System]
    package let teacherFree: [TeacherFree]
    package let claims: [Claim]

    package init() throws(SimulationError) {
        benchmarks = try PaperFile("benchmarks.csv", PaperTables.benchmarks).rows { row throws(SimulationError) in
            Benchmark(
                name: try row.text("name"), title: try row.text("title"), questions: try row.count("questions"),
                answersEach: try row.count("answers_each"), isHard: try row.text("difficulty") == "hard")
        }
        let names = benchmarks.map(\.name)
        mathematics = try PaperFile("mathematics.csv", PaperTables.mathematics).rows { row throws(SimulationError) in
            try row.system(names)
        }
        domainTitles = ["BBEH", "MMLU-Pro", "SuperGPQA"]
        domains = try PaperFile("domains.csv", PaperTables.domains).rows { row throws(SimulationError) in
            try row.system(["bbeh", "mmlu_pro", "supergpqa"])
        }
        ablations = try PaperFile("ablations.csv", PaperTables.ablations).rows { row throws(SimulationError) in
            try row.system([])
        }
        teacherFree = try PaperFile("teacher_free.csv", PaperTables.teacherFree).rows { row throws(SimulationError) in
            TeacherFree(
                name: try row.text("system"), hasTeacher: try row.text("teacher") == "yes",
                easy: try row.published("easy"), hard: try row.published("hard"))
        }
        claims = try PaperFile("claims.csv", PaperTables.claims).rows { row throws(SimulationError) in
            guard let rule = Claim.Rule(rawValue: try row.text("rule")) else { throw row.fault("rule") }
            return Claim(
                name: try row.text("name"), section: try row.text("paper_section"), claim: try row.text("claim"),
                rule: rule, published: try row.published("published"), unit: try row.text("unit"))
        }
    }

    /// Throws when the tables have no such row.
    package func system(_ title: String) throws(SimulationError) -> System {
        guard let system = mathematics.first(where: { $0.title == title }) else {
            throw SimulationError(.data, "mathematics.csv", "has no row \(title)")
        }
        return system
    }
}

/// One of the files: a header line and records.
private struct PaperFile {
    let name: String
    let header: [String]
    let records: [CSVRecords.Record]

    init(_ name: String, _ bytes: [UInt8]) throws(SimulationError) {
        do {
            var reader = CSVRecords()
            var records = try reader.read(bytes)
            if let last = try reader.finish() { records.append(last) }
            self.name = name
            header = records.first?.fields ?? []
            self.records = Array(records.dropFirst())
        } catch {
            throw SimulationError(.data, name, "line \(error.line): \(error.what)")
        }
    }

    func rows<T>(_ make: (PaperRow) throws(SimulationError) -> T) throws(SimulationError) -> [T] {
        var rows: [T] = []
        for record in records { rows.append(try make(PaperRow(file: name, header: header, record: record))) }
        return rows
    }
}

private struct PaperRow {
    let file: String
    let header: [String]
    let record: CSVRecords.Record

    func fault(_ column: String) -> SimulationError {
        SimulationError(.data, file, "line \(record.line): the field \(column) is missing or has no such value")
    }

    func text(_ column: String) throws(SimulationError) -> String {
        guard let place = header.firstIndex(of: column), place < record.fields.count else { throw fault(column) }
        return record.fields[place]
    }

    func count(_ column: String) throws(SimulationError) -> Int {
        guard let count = Int(try text(column)), count > 0, count < 1_000_000 else { throw fault(column) }
        return count
    }

    func published(_ column: String) throws(SimulationError) -> PaperData.Published {
        let text = try text(column)
        guard let number = Decimals.number(text) else { throw fault(column) }
        return PaperData.Published(text: text, number: number)
    }

    func system(_ columns: [String]) throws(SimulationError) -> PaperData.System {
        var cells: [PaperData.Published] = []
        for column in columns { cells.append(try published(column)) }
        let hasRatio = header.contains("call_ratio_percent")
        let ratio = hasRatio ? try text("call_ratio_percent") : ""
        return PaperData.System(
            table: try text("paper_table"), slm: try text("slm"), name: try text("system"), cells: cells,
            average: header.contains("average") ? try published("average") : nil,
            callRatio: ratio.isEmpty ? nil : try published("call_ratio_percent").number * .ratio(1, 100))
    }
}
