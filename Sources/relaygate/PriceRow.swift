internal import Accounting
internal import Store

/// One row of a file of prices on its way to a price.
struct PriceRow {
    /// The word in the column `input` that takes a model's price away.
    static let unpriced = "unpriced"

    private let row: PriceFile.Row
    private let now: Accounting.Timestamp
    private let start: Accounting.Timestamp?

    init(_ row: PriceFile.Row, now: Accounting.Timestamp, start: Accounting.Timestamp?) {
        self.row = row
        self.now = now
        self.start = start
    }

    /// The price, or nil and its mistakes, all of them.
    func read(_ mistakes: inout [PriceFile.Mistake]) -> Price? {
        let before = mistakes.count
        func note(_ column: String, _ message: String) {
            mistakes.append(PriceFile.Mistake(place: row.place, column: column, message: message))
        }
        let model = row.fields["model"]
        if let model { PriceText.complaint(name: model).map { note("model", $0) } } else { note("model", "is missing") }
        if let upstream = row.fields["upstream"] {
            PriceText.complaint(name: upstream).map { note("upstream", $0) }
        }
        var from = start
        if let text = row.fields["from"] {
            from = PriceText.time(text, now: now)
            if from == nil { note("from", PriceText.timeRule) }
        } else if from == nil {
            note("from", "is missing; \(PriceText.timeRule)")
        }
        let rates = rates(note)
        guard mistakes.count == before, let model, let from else { return nil }
        return Price(model: model, upstream: row.fields["upstream"], from: from, rates: rates)
    }

    private func rates(_ note: (String, String) -> Void) -> PriceRates? {
        if row.fields["input"] == PriceRow.unpriced {
            for name in ["cached_input", "cache_write", "output", "request"] where row.fields[name] != nil {
                note(name, "must be empty where input is unpriced")
            }
            return nil
        }
        func number(_ name: String) -> Int? {
            guard let text = row.fields[name] else { return nil }
            do throws(PriceText.Complaint) {
                return try name == "request" ? PriceText.request(text) : PriceText.perMillion(text)
            } catch {
                note(name, error.message)
                return nil
            }
        }
        for name in ["input", "output"] where row.fields[name] == nil {
            note(name, "is missing; write 0 for what is free\(name == "input" ? ", or unpriced" : "")")
        }
        return PriceRates(
            input: number("input") ?? 0, cachedInput: number("cached_input"), cacheWrite: number("cache_write"),
            output: number("output") ?? 0, request: number("request"))
    }
}
