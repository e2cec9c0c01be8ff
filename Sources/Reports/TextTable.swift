/// A table in monospaced text: numbers aligned at their last digit, marks and intervals behind them.
struct TextTable {
    let header: [String]
    let rows: [[CellText]]

    /// Lines of at most `width` columns as far as one column fits beside the first: a wider table goes on below, with
    /// the texts again that its rows begin with.
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
        guard !header.isEmpty else { return [] }
        let names = Array(0..<nameCount(width: width))
        let namesWidth = names.map { columnWidth($0) + 2 }.reduce(-2, +)
        var blocks: [[Int]] = []
        var block = names
        var used = namesWidth
        for column in header.indices.dropFirst(names.count) {
            let own = columnWidth(column) + 2
            if used + own > width, block.count > names.count {
                blocks.append(block)
                block = names
                used = namesWidth
            }
            block.append(column)
            used += own
        }
        return blocks + [block]
    }

    /// How many columns name a row: the texts that rows begin with, as far as they leave half of a line.
    private func nameCount(width: Int) -> Int {
        var count = 1
        var used = header.isEmpty ? 0 : columnWidth(0)
        while count < header.count, !isNumeric(count), used + 2 + columnWidth(count) <= width / 2 {
            used += 2 + columnWidth(count)
            count += 1
        }
        return count
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
