internal import Accounting
internal import Notation
internal import Store

/// A statement as text and as CSV.
enum StatementText {
    /// What the lines are made of, and from when to when: the same words in every format.
    static func facts(_ statement: MonthlyStatement) -> [(name: String, value: String)] {
        let attempts = statement.pricedAttempts + statement.unpricedAttempts
        let state = statement.isOver ? "" : "; the month is not over, this is what there was so far"
        return [
            ("tenant", "\(statement.tenant) (\(statement.tenantID))"),
            ("period", "from \(statement.from) to before \(statement.to)\(state)"),
            ("time zone", statement.zone), ("made", "\(UTCTime(statement.made).text) UTC"),
            (
                "data",
                "the \(statement.source)'s ledger: \(BudgetText.grouped(statement.requests)) requests, "
                    + "\(BudgetText.grouped(attempts)) attempts that were served, each at the price that held when its "
                    + "request began"
            ),
        ]
    }

    static let lineHeader = [
        "model", "role", "served by", "price since (UTC)", "what", "quantity", "unit price", "amount $",
    ]

    /// A row of the table of lines.
    struct LineRow {
        let cells: [String]
        var isSubtotal = false
    }

    /// A row for each item; a line's name stands at its first one. Of several public models each has its subtotal.
    static func lineRows(_ statement: MonthlyStatement) -> [LineRow] {
        var rows: [LineRow] = []
        let hasSubtotals = Set(statement.lines.map(\.service.model)).count > 1
        var subtotal: Int128 = 0
        for (number, line) in statement.lines.enumerated() {
            rows += itemRows(line).map { LineRow(cells: $0) }
            subtotal += line.amountPico
            let next = number + 1 < statement.lines.count ? statement.lines[number + 1] : nil
            guard hasSubtotals, next?.service.model != line.service.model else { continue }
            rows.append(
                LineRow(
                    cells: [line.service.model, "", "", "", "subtotal", "", "", amount(subtotal)], isSubtotal: true))
            subtotal = 0
        }
        return rows
    }

    /// Attempts are told only where they have a price. An upstream's own price is told beside the model.
    private static func itemRows(_ line: MonthlyStatement.Line) -> [[String]] {
        let priced = line.items.filter { $0.kind != .attempts || $0.unitPico > 0 }
        let place = line.priceUpstream.isEmpty ? "" : " at \(line.priceUpstream)"
        let name = [
            line.service.model, line.service.role, line.service.upstreamModel + place, UTCTime(line.priceFrom).text,
        ]
        return (priced.isEmpty ? line.items : priced).enumerated().map { index, item in
            (index == 0 ? name : ["", "", "", ""]) + [
                item.kind.title, BudgetText.grouped(item.quantity), unitPrice(item), amount(item.amountPico),
            ]
        }
    }

    private static func amount(_ pico: Int128) -> String { UsageText.groupedDecimal(Money.fixedDollars(pico: pico)) }

    /// Tokens are priced by the million, as price lists have it.
    private static func unitPrice(_ item: MonthlyStatement.Item) -> String {
        item.kind == .attempts
            ? "$ \(UsageText.dollars(Int128(item.unitPico))) each"
            : "$ \(Money.fixedPerMillion(pico: item.unitPico)) / 1M"
    }

    static func total(_ statement: MonthlyStatement) -> String {
        amount(statement.totalPico)
    }

    static let unpricedHeader = [
        "model", "role", "served by", "attempts", "prompts unknown", "uncached input", "cached input", "cache write",
        "output",
    ]

    static func unpricedRows(_ statement: MonthlyStatement) -> [[String]] {
        statement.unpriced.map { line in
            [line.service.model, line.service.role, line.service.upstreamModel]
                + [
                    line.attempts, line.promptsUnknown, line.uncachedInput, line.cachedInput, line.cacheWrite,
                    line.output,
                ].map(BudgetText.grouped)
        }
    }

    static let budgetHeader = [
        "budget", "key", "window", "amount", "windows with use", "of them used up", "used", "unreconciled", "overrun",
    ]

    static func budgetRows(_ statement: MonthlyStatement) -> [[String]] {
        statement.budgets.map { budget in
            [budget.name, budget.key ?? "-", budget.window]
                + [
                    budget.amount, budget.windows, budget.windowsUsedUp, budget.used, budget.unreconciled,
                    budget.overrun,
                ].map(BudgetText.grouped)
        }
    }

    static func text(_ statement: MonthlyStatement) -> String {
        let width = 11
        var text = "statement of \(statement.tenant) for \(statement.month)\n"
        for (name, value) in facts(statement) {
            text += name + String(repeating: " ", count: width - name.count) + value + "\n"
        }
        let total = ["total", "", "", "", "", "", "", total(statement)]
        text += "\n" + Terminal.table(lineHeader, lineRows(statement).map(\.cells) + [total], right: [5, 6, 7])
        if !statement.unpriced.isEmpty {
            text += "\nwithout a price, not in the total\n"
            text += Terminal.table(unpricedHeader, unpricedRows(statement), right: Set(3...8))
        }
        if !statement.budgets.isEmpty {
            text += "\nbudgets of LLM tokens, in windows (UTC) that began in the month\n"
            text += Terminal.table(budgetHeader, budgetRows(statement), right: Set(3...8))
        }
        return text
    }

    /// Items, unpriced tokens and the total; `row` says which.
    static func csv(_ statement: MonthlyStatement, _ dialect: CSVText.Dialect) -> String {
        let names = [
            "row", "tenant", "month", "timezone", "model", "role", "upstream_model", "price_id", "price_upstream",
            "price_from", "kind", "quantity", "unit_price_usd", "amount_usd",
        ]
        func line(_ row: String, _ cells: [CSVText.Cell]) -> String {
            let head = [row, statement.tenant, statement.month, statement.zone].map(CSVText.Cell.text)
            return CSVText.line(head + cells, dialect)
        }
        func service(_ service: MonthlyStatement.Service) -> [CSVText.Cell] {
            [service.model, service.role, service.upstreamModel].map(CSVText.Cell.text)
        }
        func dollars(_ pico: Int128) -> CSVText.Cell { .number(Money.fixedDollars(pico: pico)) }
        var text = CSVText.line(names.map(CSVText.Cell.text), dialect)
        for priced in statement.lines {
            for item in priced.items {
                text += line(
                    "item",
                    service(priced.service) + [
                        .number("\(priced.priceID)"),
                        priced.priceUpstream.isEmpty ? .none : .text(priced.priceUpstream), time(priced.priceFrom),
                        .text(item.kind.rawValue), .number("\(item.quantity)"), dollars(Int128(item.unitPico)),
                        dollars(item.amountPico),
                    ])
            }
        }
        for unpriced in statement.unpriced {
            let counts: [(String, Int)] = [
                ("uncached_input", unpriced.uncachedInput), ("cached_input", unpriced.cachedInput),
                ("cache_write", unpriced.cacheWrite), ("output", unpriced.output), ("attempts", unpriced.attempts),
                ("prompts_unknown", unpriced.promptsUnknown),
            ]
            for (kind, count) in counts where count > 0 {
                text += line(
                    "unpriced",
                    service(unpriced.service) + [.none, .none, .none, .text(kind), .number("\(count)"), .none, .none])
            }
        }
        let empty = [CSVText.Cell](repeating: .none, count: 9)
        return text + line("total", empty + [dollars(statement.totalPico)])
    }

    /// A time in UTC as spreadsheets and data frames know it; spreadsheets take what names its zone for a text.
    private static func time(_ time: Accounting.Timestamp) -> CSVText.Cell {
        .bare(String(time.rfc3339.map { $0 == "T" ? " " : $0 }.dropLast()))
    }
}
