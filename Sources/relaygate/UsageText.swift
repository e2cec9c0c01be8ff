internal import Accounting
internal import Notation
internal import Store

/// Reports of usage as tables.
enum UsageText {
    /// Columns that people read, with a line above that says what they look at.
    static func table(_ report: UsageReport) -> String {
        let head = "usage from \(report.from) to \(report.to) (\(report.query.zone))\n"
        guard !report.rows.isEmpty else { return head + "nothing was used\n" }
        let right = Set(report.query.dimensions.count..<header(report).count)
        let budgetName = report.hasBudgets ? header(report).count - 3 : -1
        return head + Terminal.table(header(report), rows(report), right: right.subtracting([budgetName]))
    }

    /// A table of GitHub's Markdown, without the line above.
    static func markdown(_ report: UsageReport) -> String {
        let header = header(report)
        let texts = report.query.dimensions.count
        let rule = header.indices.map { $0 < texts ? "---" : "---:" }
        return ([header, rule] + rows(report)).map { cells in
            "| " + cells.map { escaped($0) }.joined(separator: " | ") + " |\n"
        }.joined()
    }

    private static func escaped(_ cell: String) -> String {
        var text = ""
        for scalar in Terminal.oneLine(cell).unicodeScalars {
            if "|\\`*_<>[]&~".unicodeScalars.contains(scalar) { text += "\\" }
            text.unicodeScalars.append(scalar)
        }
        return text
    }

    /// The first column says what a row is: `group`, `others` or `total`.
    static func csv(_ report: UsageReport, _ dialect: CSVText.Dialect) -> String {
        var names = ["row"] + report.query.dimensions.map(\.name) + UsageMeasure.all.map(\.name)
        if report.hasBudgets { names += ["budget", "budget_used", "budget_left"] }
        func line(_ kind: String, _ labels: [String?], _ sums: UsageSums, _ budget: UsageRow.Budget?) -> String {
            var cells: [CSVText.Cell] = [.text(kind)]
            cells += zip(labels, report.query.dimensions).map { label, dimension in
                // Spreadsheets know a date by its form, as long as it does not stand in quotes.
                label.map { dimension == .day ? .bare($0) : .text($0) } ?? .none
            }
            cells += UsageMeasure.all.map { $0.value(sums).plain.map(CSVText.Cell.number) ?? .none }
            if report.hasBudgets {
                cells += [budget.map { .text($0.name) } ?? .none]
                cells += [budget?.used, budget?.left].map { $0.map { .number("\($0)") } ?? .none }
            }
            return CSVText.line(cells, dialect)
        }
        let empty = [String?](repeating: nil, count: report.query.dimensions.count)
        return CSVText.line(names.map { .text($0) }, dialect)
            + report.rows.map { line("group", $0.labels, $0.sums, $0.budget) }.joined()
            + (report.others.map { line("others", empty, $0.sums, nil) } ?? "")
            + line("total", empty, report.totals, nil)
    }

    // MARK: Cells

    /// The columns in which any row has something.
    private static func measures(_ report: UsageReport) -> [UsageMeasure] {
        UsageMeasure.all.filter { $0.value(report.totals).plain != nil }
    }

    private static func header(_ report: UsageReport) -> [String] {
        report.query.dimensions.map(\.name) + measures(report).map(\.title)
            + (report.hasBudgets ? ["budget", "used", "left"] : [])
    }

    private static func rows(_ report: UsageReport) -> [[String]] {
        let measures = measures(report)
        func row(_ labels: [String], _ sums: UsageSums, _ budget: UsageRow.Budget?) -> [String] {
            var cells = labels + measures.map { cell($0.value(sums)) }
            if report.hasBudgets {
                cells +=
                    budget.map { [$0.name, BudgetText.grouped($0.used), BudgetText.grouped($0.left)] } ?? ["", "", ""]
            }
            return cells
        }
        let rest = [String](repeating: "", count: max(0, report.query.dimensions.count - 1))
        return report.rows.map { row($0.labels.map { $0 ?? "-" }, $0.sums, $0.budget) }
            + (report.others.map { [row(["other rows (\($0.count))"] + rest, $0.sums, nil)] } ?? [])
            + [row(["total"] + rest, report.totals, nil)]
    }

    private static func cell(_ value: UsageMeasure.Value) -> String {
        switch value {
        case .count(let count): count.map(BudgetText.grouped) ?? ""
        case .share(let millionths):
            // Tenths of a percent, rounded half up.
            millionths.map { FixedPoint.text(Int128(($0 + 500) / 1000), places: 1) + " %" } ?? ""
        case .dollars(let pico): dollars(pico)
        case .latency: value.plain.map(groupedDecimal) ?? ""
        }
    }

    /// Pico-dollars as dollars with all decimals that are not zeros at the end, and two at least.
    static func dollars(_ pico: Int128) -> String {
        groupedDecimal(Money.dollars(pico: pico))
    }

    /// A number with groups before its point.
    static func groupedDecimal(_ plain: String) -> String {
        let parts = plain.split(separator: ".", maxSplits: 1)
        return BudgetText.grouped(parts[0]) + (parts.count > 1 ? "." + parts[1] : "")
    }
}
