internal import Accounting
internal import Store

/// How prices are read from people and shown to them.
enum PriceText {
    /// Why a value is not allowed; completes "--input: …".
    struct Complaint: Error { let message: String }

    static let timeRule =
        "must be a time such as 2026-11-01 or 2026-11-24T15:00, in UTC, one with its zone such as 2026-11-24T15:00+01:00, or now"

    /// Reads dollars for a million tokens; returns pico-dollars for one.
    static func perMillion(_ text: String) throws(Complaint) -> Int {
        let pico: Int
        do throws(MoneyError) { pico = try Money.pico(perMillion: text) } catch {
            throw Complaint(message: error.description)
        }
        guard pico <= PriceRates.tokenLimit else {
            throw Complaint(message: "is more than 1000000 dollars for a million tokens")
        }
        return pico
    }

    /// Reads dollars for a request; returns pico-dollars.
    static func request(_ text: String) throws(Complaint) -> Int {
        let pico: Int
        do throws(MoneyError) { pico = try Money.pico(dollars: text) } catch {
            throw Complaint(message: error.description)
        }
        guard pico <= PriceRates.requestLimit else {
            throw Complaint(message: "is more than 1000 dollars for a request")
        }
        return pico
    }

    /// A time in UTC or with its zone, or `now`; nil for anything else.
    static func time(_ text: String, now: Accounting.Timestamp) -> Accounting.Timestamp? {
        text == "now" ? now : Moment.written(text)
    }

    /// What is wrong with the name of a model or an upstream; nil when nothing is.
    static func complaint(name: String) -> String? {
        let scalars = name.unicodeScalars
        let isPlain = Terminal.oneLine(name) == name
        let hasSpace = scalars.first?.properties.isWhitespace == true || scalars.last?.properties.isWhitespace == true
        guard (1...256).contains(scalars.count), isPlain, !hasSpace else {
            return "must have 1 to 256 characters, no control characters, and no space at its ends"
        }
        return nil
    }

    // MARK: Shown

    /// `input 2.50, output 10.00 $ for a million tokens`.
    static func sentence(_ rates: PriceRates) -> String {
        var parts = ["input \(Money.perMillion(pico: rates.input))"]
        if let price = rates.cachedInput { parts.append("cached input \(Money.perMillion(pico: price))") }
        if let price = rates.cacheWrite { parts.append("cache write \(Money.perMillion(pico: price))") }
        parts.append("output \(Money.perMillion(pico: rates.output)) $ for a million tokens")
        if let price = rates.request { parts.append("\(Money.dollars(pico: price)) $ for a request") }
        return parts.joined(separator: ", ")
    }

    static func table(_ records: [PriceRecord], withHistory: Bool) -> String {
        var header = [
            "model", "upstream", "from (UTC)", "until (UTC)", "input $/M", "cached $/M", "write $/M", "output $/M",
            "request $",
        ]
        if withHistory { header += ["who", "why"] }
        let rows = records.map { record in
            let (price, rates) = (record.price, record.price.rates)
            let row = [
                price.model, price.upstream ?? "-", UTCTime(price.from).text,
                record.until.map { UTCTime($0).text } ?? "-",
                rates.map { Money.perMillion(pico: $0.input) } ?? PriceRow.unpriced,
                rates?.cachedInput.map { Money.perMillion(pico: $0) } ?? "-",
                rates?.cacheWrite.map { Money.perMillion(pico: $0) } ?? "-",
                rates.map { Money.perMillion(pico: $0.output) } ?? "-",
                rates?.request.map { Money.dollars(pico: $0) } ?? "-",
            ]
            return withHistory ? row + [record.actor, record.reason] : row
        }
        return Terminal.table(header, rows, right: [4, 5, 6, 7, 8])
    }

    /// An object that `price import` and `price simulate` read.
    static func json(_ record: PriceRecord) -> String {
        let (price, rates) = (record.price, record.price.rates)
        func number(_ value: Int?, _ write: (Int) -> String) -> String { value.map { write($0).json } ?? "null" }
        return
            #"{"model":\#(price.model.json),"upstream":\#(price.upstream?.json ?? "null"),"#
            + #""from":\#(price.from.rfc3339.json),"until":\#(record.until.map(\.rfc3339.json) ?? "null"),"#
            + #""input":\#(number(rates?.input, Money.perMillion)),"#
            + #""cached_input":\#(number(rates?.cachedInput, Money.perMillion)),"#
            + #""cache_write":\#(number(rates?.cacheWrite, Money.perMillion)),"#
            + #""output":\#(number(rates?.output, Money.perMillion)),"#
            + #""request":\#(number(rates?.request, Money.dollars(pico:))),"#
            + #""actor":\#(record.actor.json),"reason":\#(record.reason.json),"#
            + #""created_at":\#(record.created.rfc3339.json)}"#
    }

    /// Dollars from the digits of a database's sum.
    static func dollars(_ digits: String) -> String { Money.dollars(picoDigits: digits) ?? digits }

    static func table(_ usage: [RepricedUsage]) -> String {
        let rows = usage.map {
            [
                $0.upstreamModel ?? "all", $0.upstream ?? "", BudgetText.grouped($0.segments), dollars($0.recorded),
                dollars($0.repriced), dollars($0.difference), BudgetText.grouped($0.recordedUnpriced),
                BudgetText.grouped($0.repricedUnpriced),
            ]
        }
        return Terminal.table(
            [
                "model", "upstream", "segments", "recorded $", "repriced $", "difference $", "recorded unpriced",
                "repriced unpriced",
            ], rows, right: [2, 3, 4, 5, 6, 7])
    }

    static func json(_ usage: RepricedUsage) -> String {
        let name = usage.upstreamModel.map {
            #""upstream_model":\#($0.json),"upstream":\#((usage.upstream ?? "").json),"#
        }
        return "{" + (name ?? "")
            + #""segments":\#(usage.segments),"recorded_dollars":\#(dollars(usage.recorded).json),"#
            + #""repriced_dollars":\#(dollars(usage.repriced).json),"#
            + #""difference_dollars":\#(dollars(usage.difference).json),"#
            + #""recorded_unpriced":\#(usage.recordedUnpriced),"repriced_unpriced":\#(usage.repricedUnpriced)}"#
    }
}
