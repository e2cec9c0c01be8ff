internal import Notation
package import Simulator

/// A report as one long table: a line for each cell, which data frames take apart more easily than tables of their own
/// shapes. What the report says of itself comes first, in the section `report`.
package enum CSVReport {
    /// The header's names.
    package static let columns = [
        "section", "row", "row_name", "column", "kind", "value", "low", "high", "unit", "interval_low",
        "interval_high", "reason",
    ]

    package static func text(_ report: Report, _ provenance: Provenance) -> String {
        var out = CSVText.line(columns.map(CSVText.Cell.text))
        func say(_ row: Int, _ column: String, _ name: String, _ value: String) {
            out += line("report", row, name, column, kind: "text", value: .text(value))
        }
        say(1, "title", "", report.title)
        for (index, item) in report.coverage.enumerated() { say(index + 1, "coverage", item.name, item.value) }
        for (index, exclusion) in report.exclusions.enumerated() {
            say(index + 1, "exclusion", exclusion.reason, String(exclusion.requests))
        }
        for (index, warning) in report.warnings.enumerated() { say(index + 1, "warning", "", warning) }
        for (index, item) in provenance.lines.enumerated() { say(index + 1, "made_with", item.name, item.value) }
        for (index, item) in report.definitions.enumerated() { say(index + 1, "definition", item.term, item.meaning) }
        for section in report.sections { out += lines(section) }
        return out
    }

    private static func lines(_ section: Section) -> String {
        var out = ""
        for (index, note) in section.notes.enumerated() {
            out += line(section.name, index + 1, "", "note", kind: "text", value: .text(note))
        }
        guard let table = section.table else { return out }
        for (index, row) in table.rows.enumerated() {
            let name = name(of: row)
            for (column, cell) in zip(table.columns, row) {
                switch cell {
                case .none: continue
                case .text(let text):
                    out += line(section.name, index + 1, name, column.name, kind: "text", value: .text(text))
                case .finding(let finding): out += line(section.name, index + 1, name, column.name, finding)
                }
            }
        }
        return out
    }

    /// The texts that a row begins with.
    private static func name(of row: [Table.Cell]) -> String {
        var words: [String] = []
        for cell in row {
            guard case .text(let text) = cell else { break }
            words.append(text)
        }
        return words.joined(separator: " / ")
    }

    private static func line(
        _ section: String, _ row: Int, _ name: String, _ column: String, _ finding: Finding
    ) -> String {
        func precise(_ number: Number?) -> CSVText.Cell {
            number.map { .number(NumberText.precise($0, finding.unit)) } ?? .none
        }
        let (kind, value, low, high): (String, Number?, Number?, Number?) =
            switch finding.knowledge {
            case .exact(let number): ("exact", number, nil, nil)
            case .bounded(let low, let high): ("bounded", nil, low, high)
            case .atLeast(let low): ("bounded", nil, low, nil)
            case .estimated(let number): ("estimated", number, nil, nil)
            case .unknown: ("unknown", nil, nil, nil)
            }
        return line(
            section, row, name, column, kind: kind, value: precise(value), low: precise(low), high: precise(high),
            unit: NumberText.name(finding.unit),
            interval: (precise(finding.interval?.low), precise(finding.interval?.high)),
            reason: finding.reason ?? "")
    }

    private static func line(
        _ section: String, _ row: Int, _ name: String, _ column: String, kind: String,
        value: CSVText.Cell, low: CSVText.Cell = .none, high: CSVText.Cell = .none, unit: String = "",
        interval: (CSVText.Cell, CSVText.Cell) = (.none, .none), reason: String = ""
    ) -> String {
        CSVText.line([
            .text(section), .number("\(row)"), .text(name), .text(column), .text(kind), value, low, high, .text(unit),
            interval.0, interval.1, .text(reason),
        ])
    }
}
