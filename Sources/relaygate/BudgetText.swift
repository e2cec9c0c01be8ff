internal import Accounting
internal import Arguments
internal import Store

/// How budgets are read from the command line and shown there.
enum BudgetText {
    /// Reads an amount: `50000`, `50_000`, `50k`, `1.5M`.
    static func amount(_ text: String, _ option: String) throws(CommandExit) -> Int {
        let plain = text.hasPrefix("_") || text.hasSuffix("_") ? "" : text.filter { $0 != "_" }
        var digits = plain[...]
        var scale = 1
        if let unit = plain.last, let factor = ["k": 1000, "K": 1000, "M": 1_000_000, "G": 1_000_000_000][unit] {
            scale = factor
            digits = plain.dropLast()
        }
        let parts = digits.split(separator: ".", omittingEmptySubsequences: false)
        let whole = parts.first.flatMap { Int($0) }
        let fraction = parts.count > 1 ? parts[1] : ""
        let isNumber = parts.count <= 2 && digits.allSatisfy { $0.isASCII && ($0.isNumber || $0 == ".") }
        if isNumber, let whole, parts.count == 1 || !fraction.isEmpty {
            let places = fraction.reduce((value: 0, scale: scale)) { sum, digit in
                (sum.value + (digit.wholeNumberValue ?? 0) * (sum.scale / 10), sum.scale / 10)
            }
            let isExact = fraction.count < String(scale).count
            let (product, overflow) = whole.multipliedReportingOverflow(by: scale)
            if isExact, !overflow, product <= 9_000_000_000_000_000 { return product + places.value }
        }
        throw .badUsage("--\(option): must be a number from 0 to 9000000000000000, such as 50000, 50k or 1.5M")
    }

    /// A number with thin groups, for people.
    static func grouped(_ number: Int) -> String { grouped(String(number)) }

    /// A number in digits, with a comma before each three but the first ones.
    static func grouped(_ number: some StringProtocol) -> String {
        let digits = number.drop { $0 == "-" }.utf8
        var text: [UInt8] = number.hasPrefix("-") ? [UInt8(ascii: "-")] : []
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { text.append(UInt8(ascii: ",")) }
            text.append(digit)
        }
        return String(decoding: text, as: UTF8.self)
    }

    static let header = [
        "tenant", "key", "name", "window", "amount", "used", "held", "unreconciled", "left", "resets (UTC)",
        "at its end",
    ]

    static func row(_ budget: BudgetUsage) -> [String] {
        [
            budget.tenant, budget.key ?? "-", budget.name, budget.window.rawValue, grouped(budget.amount),
            grouped(budget.used), grouped(budget.held), grouped(budget.unreconciled), grouped(budget.remaining),
            budget.windowEnd.map { UTCTime($0).text } ?? "never", budget.onExhausted.rawValue,
        ]
    }

    static func table(_ budgets: [BudgetUsage]) -> String {
        Terminal.table(header, budgets.map(row), right: [4, 5, 6, 7, 8])
    }

    static func json(_ budget: BudgetUsage) -> String {
        let thresholds = budget.thresholds.map(String.init).joined(separator: ",")
        return
            #"{"id":\#(budget.id.description.json),"tenant":\#(budget.tenant.json),"key":\#(budget.key?.json ?? "null"),"#
            + #""name":\#(budget.name.json),"resource":\#(budget.resource.rawValue.json),"#
            + #""counts":\#(budget.counts.rawValue.json),"window":\#(budget.window.rawValue.json),"#
            + #""on_exhausted":\#(budget.onExhausted.rawValue.json),"clamps":\#(budget.clamps),"#
            + #""mode":\#(budget.mode.rawValue.json),"thresholds":[\#(thresholds)],"amount":\#(budget.amount),"#
            + #""used":\#(budget.used),"held":\#(budget.held),"unreconciled":\#(budget.unreconciled),"#
            + #""overrun":\#(budget.overrun),"left":\#(budget.remaining),"#
            + #""window_start":\#(budget.windowStart.rfc3339.json),"#
            + #""window_end":\#(budget.windowEnd.map(\.rfc3339.json) ?? "null")}"#
    }

    static func list(_ items: [String]) -> String { "[" + items.joined(separator: ",\n ") + "]" }
}
