internal import Notation
internal import Store

/// A statement as one page of HTML for print: no script, nothing from elsewhere, legible without colour.
struct StatementPage {
    private let statement: MonthlyStatement

    init(_ statement: MonthlyStatement) { self.statement = statement }

    var html: String {
        let title = "Statement of \(statement.tenant) for \(statement.month)"
        var body = "<h1>\(escaped(title))</h1>\n<table class=\"facts\">\n"
        for (name, value) in StatementText.facts(statement) {
            body += "<tr><th scope=\"row\">\(escaped(name))</th><td>\(escaped(value))</td></tr>\n"
        }
        body += "</table>\n<h2>What was used</h2>\n"
        if statement.lines.isEmpty {
            body += "<p>Nothing that has a price was used.</p>\n"
        }
        let rows = StatementText.lineRows(statement)
        body += table(
            StatementText.lineHeader, rows.map(\.cells), numbers: 5,
            subtotals: Set(rows.indices.filter { rows[$0].isSubtotal }),
            total: "<tr class=\"total\"><th colspan=\"7\" scope=\"row\">Total $</th>"
                + "<td>\(StatementText.total(statement))</td></tr>\n")
        if !statement.unpriced.isEmpty {
            body +=
                "<h2>Without a price</h2>\n<p>These tokens have no amount and are not in the total: their model had no "
                + "price, or its server did not say how many tokens it read.</p>\n"
            body += table(StatementText.unpricedHeader, StatementText.unpricedRows(statement), numbers: 3)
        }
        if !statement.budgets.isEmpty {
            body += "<h2>Budgets of LLM tokens</h2>\n<p>In windows (UTC) that began in the month.</p>\n"
            body += table(StatementText.budgetHeader, StatementText.budgetRows(statement), numbers: 3)
        }
        return HTMLText.page(title: Terminal.oneLine(title), style: StatementPage.style, body: body)
    }

    /// The rows of a line are a body of their own, which no page break divides; the total is in that of the last line,
    /// so that it does not stand alone on a page.
    ///
    /// - Parameters:
    ///   - numbers: the first column of numbers; those before it are texts, of which models' names may be long.
    ///   - subtotals: which rows sum up those above them, and belong to them.
    private func table(
        _ header: [String], _ rows: [[String]], numbers: Int, subtotals: Set<Int> = [], total: String = ""
    ) -> String {
        func kind(_ index: Int) -> String {
            guard index < numbers else { return "" }
            return [0, 2].contains(index) ? " class=\"text name\"" : " class=\"text\""
        }
        let head = header.enumerated().map { "<th scope=\"col\"\(kind($0))>\(escaped($1))</th>" }
        var lines = ""
        for (number, row) in rows.enumerated() {
            let isFirst = row.first?.isEmpty == false
            // What a line of several rows is about stands beside all of them.
            let height = 1 + rows[(number + 1)...].prefix { $0.first?.isEmpty == true }.count
            let span = height > 1 ? " rowspan=\"\(height)\"" : ""
            if isFirst, number > 0, !subtotals.contains(number) { lines += "</tbody>\n<tbody>\n" }
            lines += subtotals.contains(number) ? "<tr class=\"first sum\">" : isFirst ? "<tr class=\"first\">" : "<tr>"
            for (index, cell) in row.enumerated() where isFirst || !cell.isEmpty {
                lines += "<td\(kind(index))\(isFirst && index < shared(rows, number) ? span : "")>\(escaped(cell))</td>"
            }
            lines += "</tr>\n"
        }
        return
            "<div class=\"wide\"><table>\n<thead><tr>\(head.joined())</tr></thead>\n<tbody>\n\(lines)\(total)</tbody>\n"
            + "</table></div>\n"
    }

    /// How many cells at its beginning a row shares with those below it, which leave them empty.
    private func shared(_ rows: [[String]], _ number: Int) -> Int {
        number + 1 < rows.count ? rows[number + 1].prefix(while: \.isEmpty).count : 0
    }

    private func escaped(_ text: String) -> String { HTMLText.escaped(Terminal.oneLine(text)) }

    private static let style = """
        @page { size: A4; margin: 16mm 14mm; }
        body { font: 10pt/1.4 "Liberation Sans", Arial, Helvetica, sans-serif; color: #000; background: #fff;
          max-width: 182mm; margin: 8mm auto; padding: 0 4mm; }
        h1 { font-size: 17pt; margin: 0 0 4mm; }
        h2 { font-size: 12pt; margin: 8mm 0 2mm; break-after: avoid; }
        p { margin: 0 0 2mm; }
        table { border-collapse: collapse; width: 100%; font-size: 8pt; }
        th, td { padding: 0.8mm 1.5mm; text-align: right; vertical-align: top; font-variant-numeric: tabular-nums; }
        th { font-weight: bold; }
        thead { display: table-header-group; }
        thead th { border-bottom: 0.4mm solid #000; vertical-align: bottom; }
        tbody tr.first td { border-top: 0.1mm solid #888; }
        tbody, tr { break-inside: avoid; }
        tbody tr.sum td { font-weight: bold; }
        .text { text-align: left; }
        tbody td { white-space: nowrap; }
        tbody td.name { white-space: normal; overflow-wrap: anywhere; min-width: 12mm; }
        .wide { overflow-x: auto; }
        .total th { text-align: left; }
        .total th, tbody .total td { border-top: 0.4mm solid #000; border-bottom: 1mm double #000; font-weight: bold;
          font-size: 9pt; }
        .facts { font-size: 9.5pt; }
        .facts th { width: 26mm; text-align: left; padding-left: 0; }
        .facts td { text-align: left; white-space: normal; overflow-wrap: anywhere; }
        @media print { body { max-width: none; margin: 0; padding: 0; } .wide { overflow: visible; } }
        """
}
