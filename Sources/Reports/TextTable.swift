/// A table in monospaced text: numbers aligned at their last digit, marks and intervals behind them.
struct TextTable {
    private let header: [String]
    private let rows: [[CellText]]
    /// Measured once: a table has a row for each tenant and window of a budget.
    private let columns: [Column]

    /// How wide a column is, in characters.
    private struct Column {
        var isNumeric = true
        /// Of the numbers, without what stands behind them.
        var body = 0
        var tail = 0
        var width = 0

        init(_ title: String, _ cells: [CellText]) {
            var content = 0
            for cell in cells {
                let behind = cell.tail.count + TextTable.mark(cell.note).count
                if !cell.isNumber { isNumeric = false }
                body = max(body, cell.body.count)
                tail = max(tail, behind)
                content = max(content, cell.body.count + TextTable.mark(cell.note).count)
            }
            width = max(title.count, isNumeric ? body + tail : content)
        }
    }

    init(header: [String], rows: [[CellText]]) {
        self.header = header
        self.rows = rows
        columns = header.indices.map { index in Column(header[index], rows.map { $0[index] }) }
    }

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
        let namesWidth = names.map { columns[$0].width + 2 }.reduce(-2, +)
        var blocks: [[Int]] = []
        var block = names
        var used = namesWidth
        for column in header.indices.dropFirst(names.count) {
            let own = columns[column].width + 2
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
        var used = columns.first?.width ?? 0
        while count < header.count, !columns[count].isNumeric, used + 2 + columns[count].width <= width / 2 {
            used += 2 + columns[count].width
            count += 1
        }
        return count
    }

    private func block(_ places: [Int]) -> [String] {
        let head = places.map { padded(header[$0], columns[$0].width, isRight: columns[$0].isNumeric) }
        let rule = places.map { String(repeating: "─", count: columns[$0].width) }
        let body = rows.map { row in places.map { cell(row[$0], columns[$0]) } }
        return ([head, rule] + body).map { cells in
            String(cells.joined(separator: "  ").reversed().drop { $0 == " " }.reversed())
        }
    }

    private func cell(_ cell: CellText, _ column: Column) -> String {
        guard column.isNumeric else {
            return padded(cell.body + TextTable.mark(cell.note), column.width, isRight: false)
        }
        let text =
            padded(cell.body, column.body, isRight: true)
            + padded(cell.tail + TextTable.mark(cell.note), column.tail, isRight: false)
        return padded(text, column.width, isRight: true)
    }

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
