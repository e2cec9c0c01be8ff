internal import Notation
internal import Simulator

/// A cell of a table as a reader sees it.
struct CellText: Equatable {
    /// A number or a text; numbers of a column are aligned at its end.
    var body: String
    /// A confidence interval, set behind the aligned number.
    var tail = ""
    /// Index of the reason among a section's notes, from 1; nil when there is none.
    var note: Int?
    var isNumber = true
}

/// Lays out the cells of one section and collects their reasons, each once, in the order of their first use.
struct CellWriter {
    private(set) var reasons: [String] = []
    /// From 1: each cell of a long table may have a reason of its own.
    private var places: [String: Int] = [:]
    /// Interval methods that were used, for the explanation.
    private(set) var intervals: [String] = []
    private(set) var hasBounds = false
    private(set) var hasLowerEnds = false
    private(set) var hasEstimates = false
    private(set) var hasUnknowns = false

    mutating func text(_ cell: Table.Cell, decimals: Int?) -> CellText {
        switch cell {
        case .none: return CellText(body: "–")
        case .text(let text): return CellText(body: PlainText.oneLine(text), isNumber: false)
        case .finding(let finding): return text(finding, decimals: decimals)
        }
    }

    private mutating func text(_ finding: Finding, decimals: Int?) -> CellText {
        func shown(_ number: Number) -> String { NumberText.shown(number, finding.unit, decimals: decimals) }
        var cell: CellText
        switch finding.knowledge {
        case .exact(let number): cell = CellText(body: shown(number))
        case .bounded(let low, let high):
            hasBounds = true
            cell = CellText(body: "[\(shown(low)), \(shown(high))]")
        case .atLeast(let low):
            hasLowerEnds = true
            cell = CellText(body: "≥ \(shown(low))")
        case .estimated(let number):
            hasEstimates = true
            cell = CellText(body: "~" + shown(number))
        case .unknown:
            hasUnknowns = true
            cell = CellText(body: "?")
        }
        if let interval = finding.interval {
            cell.tail = " (\(shown(interval.low)) … \(shown(interval.high)))"
            let percent = NumberText.shown(.real(interval.level * 100), .ratio, decimals: 0)
            let method = "\(percent) % interval: \(interval.method)"
            if !intervals.contains(method) { intervals.append(method) }
        }
        if let reason = finding.reason { cell.note = index(of: reason) }
        return cell
    }

    private mutating func index(of reason: String) -> Int {
        if let index = places[reason] { return index }
        reasons.append(reason)
        places[reason] = reasons.count
        return reasons.count
    }

    /// What the marks in the cells mean, as far as they were used.
    var legend: [String] {
        var lines: [String] = []
        if hasBounds { lines.append("[a, b] bounded: the truth lies between a and b, both included") }
        if hasLowerEnds { lines.append("≥ a bounded: the truth is a or more; no upper end is known") }
        if hasEstimates { lines.append("~x estimated: an estimator's value, which is no bound") }
        if hasUnknowns { lines.append("? unknown: the data cannot say") }
        lines += intervals.map { "(a … b) \($0)" }
        return lines
    }
}

extension Table {
    /// The columns' titles as readers see them: where a column holds money, its title says in what.
    var titles: [String] {
        columns.enumerated().map { index, column in
            let isMoney = rows.contains { row in
                guard row.indices.contains(index), case .finding(let finding) = row[index] else { return false }
                return finding.unit == .picoDollars
            }
            return isMoney && !column.title.hasSuffix("$") ? column.title + ", $" : column.title
        }
    }
}
