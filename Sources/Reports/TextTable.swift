/// A table in monospaced text: numbers aligned at their last digit, marks and intervals behind them.
struct TextTable {
    let header: [String]
    let rows: [[CellText]]

    /// Lines of at most `width` columns as far as one column fits beside the first: a wider table goes on below, with
    /// its first column again.
    func lines(width: Int) -> [String] {
        let blocks = blocks(width: width)
        var lines: [String] = []
        for (index, columns) in blocks.enumerated() {
            if index > 0 { lines.append("") }
            lines += block(columns)
        }
        return lines
    }

    private func blocks(width: Int) -> [[Int]] {
        guard let first = header.indices.first else { return [] }
        var blocks: [[Int]] = []
        var block = [first]
        var used = columnWidth(first)
        for column in header.indices.dropFirst() {
            let own = columnWidth(column) + 2
            if used + own > width, block.count > 1 {
                blocks.append(block)
                block = [first]
                used = columnWidth(first)
            }
            block.append(column)
            used += own
        }
        return blocks + [block]
    }

    private func block(_ columns: [Int]) -> [String] {
        let head = columns.map { padded(header[$0], columnWidth($0), isRight: isNumeric($0)) }
        let rule = columns.map { String(repeating: "─", count: columnWidth($0)) }
        let body = rows.map { row in columns.map { cell(row[$0], in: $0) } }
        return ([head, rule] + body).map { cells in
            String(cells.joined(separator: "  ").reversed().drop { $0 == " " }.reversed())
        }
    }

    private func cell(_ cell: CellText, in column: Int) -> String {
        let width = columnWidth(column)
        guard isNumeric(column) else { return padded(cell.body + TextTable.mark(cell.note), width, isRight: false) }
        let tails = tailWidth(column)
        let text =
            padded(cell.body, bodyWidth(column), isRight: true)
            + padded(cell.tail + TextTable.mark(cell.note), tails, isRight: false)
        return padded(text, width, isRight: true)
    }

    private func columnWidth(_ column: Int) -> Int {
        let content =
            isNumeric(column)
            ? bodyWidth(column) + tailWidth(column)
            : rows.map { ($0[column].body + TextTable.mark($0[column].note)).count }.max() ?? 0
        return max(header[column].count, content)
    }

    private func bodyWidth(_ column: Int) -> Int { rows.map { $0[column].body.count }.max() ?? 0 }

    private func tailWidth(_ column: Int) -> Int {
        rows.map { ($0[column].tail + TextTable.mark($0[column].note)).count }.max() ?? 0
    }

    private func isNumeric(_ column: Int) -> Bool { rows.allSatisfy { $0[column].isNumber } }

    private func padded(_ text: String, _ width: Int, isRight: Bool) -> String {
        let space = String(repeating: " ", count: max(0, width - text.count))
        return isRight ? space + text : text + space
    }

    /// The number of a note in raised digits.
    static func mark(_ note: Int?) -> String {
        guard let note else { return "" }
        let raised: [Character] = ["⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"]
        return " " + String(String(note).compactMap(\.wholeNumberValue).map { raised[$0] })
    }
}
