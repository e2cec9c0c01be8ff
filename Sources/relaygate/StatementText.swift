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

    /// A row for each item; a line's name stands at its first one.
    static func lineRows(_ statement: MonthlyStatement) -> [[String]] {
        statement.lines.flatMap { line in
            line.items.enumerated().map { index, item in
                let price = line.priceUpstream.isEmpty ? "" : " at \(line.priceUpstream)"
                let name = [
                    line.service.model, line.service.role, line.service.upstreamModel,
                    UTCTime(line.priceFrom).text + price,
                ]
                return (index == 0 ? name.map(UsageText.oneLine) : ["", "", "", ""]) + [
                    item.kind.title, BudgetText.grouped(item.quantity), unitPrice(item),
                    UsageText.groupedDecimal(UsageNumber.decimal(item.amountPico, places: 12)),
                ]
            }
        }
    }

    /// Tokens are priced by the million, as price lists have it.
    private static func unitPrice(_ item: MonthlyStatement.Item) -> String {
        item.kind == .attempts
            ? "$ \(UsageText.dollars(Int128(item.unitPico))) each"
            : "$ \(UsageNumber.decimal(Int128(item.unitPico), places: 6)) / 1M"
    }

    static func total(_ statement: MonthlyStatement) -> String {
        UsageText.groupedDecimal(UsageNumber.decimal(statement.totalPico, places: 12))
    }

    static let unpricedHeader = [
        "model", "role", "served by", "attempts", "prompts unknown", "uncached input", "cached input", "cache write",
        "output",
    ]

    static func unpricedRows(_ statement: MonthlyStatement) -> [[String]] {
        statement.unpriced.map { line in
            [line.service.model, line.service.role, line.service.upstreamModel].map(UsageText.oneLine)
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
        text += "\n" + Terminal.table(lineHeader, lineRows(statement) + [total], right: [5, 6, 7])
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
    static func csv(_ statement: MonthlyStatement) -> String {
        let names = [
            "row", "tenant", "month", "timezone", "model", "role", "upstream_model", "price_id", "price_from", "kind",
            "quantity", "unit_price_usd", "amount_usd",
        ]
        let head = [statement.tenant, statement.month, statement.zone].map(CSVText.text)
        func service(_ service: MonthlyStatement.Service) -> [String] {
            [service.model, service.role, service.upstreamModel].map(CSVText.text)
        }
        func dollars(_ pico: Int128) -> String { UsageNumber.decimal(pico, places: 12) }
        var text = CSVText.line(names.map(CSVText.text))
        for line in statement.lines {
            for item in line.items {
                text += CSVText.line(
                    [CSVText.text("item")] + head + service(line.service) + [
                        "\(line.priceID)", CSVText.text(line.priceFrom.rfc3339), CSVText.text(item.kind.rawValue),
                        "\(item.quantity)", dollars(Int128(item.unitPico)), dollars(item.amountPico),
                    ])
            }
        }
        for line in statement.unpriced {
            let counts: [(String, Int)] = [
                ("uncached_input", line.uncachedInput), ("cached_input", line.cachedInput),
                ("cache_write", line.cacheWrite), ("output", line.output), ("attempts", line.attempts),
                ("prompts_unknown", line.promptsUnknown),
            ]
            for (kind, count) in counts where count > 0 {
                text += CSVText.line(
                    [CSVText.text("unpriced")] + head + service(line.service)
                        + ["", "", CSVText.text(kind), "\(count)", "", ""])
            }
        }
        return text
            + CSVText.line(
                [CSVText.text("total")] + head + ["", "", "", "", "", "", "", "", dollars(statement.totalPico)])
    }
}
