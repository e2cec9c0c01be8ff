internal import Notation
package import Simulator

/// A report for a terminal.
package enum TextReport {
    /// - Parameter width: columns of the terminal; texts are broken there, and wide tables go on below.
    package static func text(_ report: Report, _ provenance: Provenance, width: Int = 120) -> String {
        let width = max(40, width)
        let title = PlainText.oneLine(report.title)
        var lines = [title, String(repeating: "═", count: min(width, title.count)), ""]
        lines += facts(report.coverage, width)
        lines += exclusions(report.exclusions, width)
        for warning in report.warnings { lines += wrapped(warning, first: "! ", width) }
        for section in report.sections { lines += [""] + Self.lines(section, width) }
        if !report.definitions.isEmpty {
            lines += ["", "Definitions"]
            lines += facts(report.definitions.map { ($0.term, $0.meaning) }, width, indent: "  ")
        }
        lines += ["", "Made with"] + facts(provenance.lines, width, indent: "  ")
        // Names come from callers: none of them may move the cursor.
        return PlainText.lines(lines.joined(separator: "\n")) + "\n"
    }

    private static func exclusions(_ exclusions: [Report.Exclusion], _ width: Int) -> [String] {
        guard !exclusions.isEmpty else { return [] }
        let counts = exclusions.map { NumberText.grouped(String($0.requests)) }
        let widest = counts.map(\.count).max() ?? 0
        var lines = ["left out:"]
        for (exclusion, count) in zip(exclusions, counts) {
            let space = String(repeating: " ", count: widest - count.count)
            lines += wrapped(exclusion.reason, first: "  \(space)\(count)  ", width)
        }
        return lines
    }

    private static func lines(_ section: Section, _ width: Int) -> [String] {
        var lines = [section.title, ""]
        if let table = section.table {
            var writer = CellWriter()
            let rows = table.rows.map { row in
                zip(table.columns, row).map { column, cell in writer.text(cell, decimals: column.decimals) }
            }
            lines += TextTable(header: table.titles, rows: rows).lines(width: width)
            for line in writer.legend { lines += wrapped(line, first: "  ", width) }
            for (index, reason) in writer.reasons.enumerated() {
                lines += wrapped(reason, first: " \(TextTable.mark(index + 1)) ", width)
            }
        } else if section.plot != nil {
            lines.append("  a plot: see --format html")
        }
        for note in section.notes { lines += wrapped(note, first: "  ", width) }
        return lines
    }

    /// Names in a column of their own, values beside them.
    private static func facts(
        _ facts: [(name: String, value: String)], _ width: Int, indent: String = ""
    ) -> [String] {
        let widest = min(36, facts.map(\.name.count).max() ?? 0)
        return facts.flatMap { name, value in
            let name = PlainText.oneLine(name)
            let space = String(repeating: " ", count: max(0, widest - name.count))
            return wrapped(value, first: indent + name + space + "  ", width, rest: indent.count + widest + 2)
        }
    }

    /// Words in lines that fit; those behind the first are indented as deep as its beginning.
    private static func wrapped(_ text: String, first: String, _ width: Int, rest: Int? = nil) -> [String] {
        let indent = String(repeating: " ", count: rest ?? first.count)
        var lines: [String] = []
        var line = first
        var isEmpty = true
        for word in text.split(whereSeparator: { $0 == " " || $0.isNewline }) {
            if !isEmpty, line.count + 1 + word.count > width {
                lines.append(line)
                line = indent
                isEmpty = true
            }
            line += isEmpty ? word : " " + word
            isEmpty = false
        }
        return lines + [line]
    }
}
