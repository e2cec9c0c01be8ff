package import Accounting

/// Sums of usage. What the ledger does not keep at this level is nil, which is not 0.
package struct UsageSums: Sendable, Equatable {
    package var requests: Int?
    package var degraded: Int?
    package var failed: Int?
    /// Requests that were not admitted.
    package var refused: Int?
    package var calls: Int?
    package var slmTokens = 0
    package var llmTokens = 0
    package var commandTokens = 0
    /// As far as the servers said; `promptsUnknown` segments are missing.
    package var promptTokens = 0
    package var cachedTokens = 0
    package var promptsUnknown = 0
    /// Pico-dollars of the segments that have a cost.
    package var costPico: Int128 = 0
    /// Segments whose cost nobody can say.
    package var unpriced = 0
    package var latencies: LatencyHistogram?
    package var firstTokens: LatencyHistogram?

    package init() {}

    /// Nothing used: 0 where a row of the query has a number.
    init(nothingOf query: UsageQuery) {
        guard query.knowsRequests else { return }
        (requests, degraded, failed, calls) = (0, 0, 0, 0)
        (latencies, firstTokens) = (LatencyHistogram(), LatencyHistogram())
        if query.knowsRefusals { refused = 0 }
    }

    /// Adds another row's sums; a sum that does not fit stays at the largest number.
    package mutating func add(_ other: UsageSums) {
        requests = UsageSums.sum(requests, other.requests)
        degraded = UsageSums.sum(degraded, other.degraded)
        failed = UsageSums.sum(failed, other.failed)
        refused = UsageSums.sum(refused, other.refused)
        calls = UsageSums.sum(calls, other.calls)
        slmTokens = UsageSums.sum(slmTokens, other.slmTokens)
        llmTokens = UsageSums.sum(llmTokens, other.llmTokens)
        commandTokens = UsageSums.sum(commandTokens, other.commandTokens)
        promptTokens = UsageSums.sum(promptTokens, other.promptTokens)
        cachedTokens = UsageSums.sum(cachedTokens, other.cachedTokens)
        promptsUnknown = UsageSums.sum(promptsUnknown, other.promptsUnknown)
        let (cost, overflow) = costPico.addingReportingOverflow(other.costPico)
        costPico = overflow ? .max : cost
        unpriced = UsageSums.sum(unpriced, other.unpriced)
        latencies = UsageSums.sum(latencies, other.latencies)
        firstTokens = UsageSums.sum(firstTokens, other.firstTokens)
    }

    private static func sum(_ left: Int, _ right: Int) -> Int {
        let (sum, overflow) = left.addingReportingOverflow(right)
        return overflow ? .max : sum
    }

    /// Nil only where both are: sums begin with what nobody has.
    private static func sum(_ left: Int?, _ right: Int?) -> Int? {
        guard let left, let right else { return left ?? right }
        return sum(left, right)
    }

    private static func sum(_ left: LatencyHistogram?, _ right: LatencyHistogram?) -> LatencyHistogram? {
        guard var sum = left, let right else { return left ?? right }
        sum.add(right)
        return sum
    }
}

/// A row of a report: one combination of what usage was told apart by.
package struct UsageRow: Sendable, Equatable {
    /// The tightest budget of LLM tokens that counts a tenant or key.
    package struct Budget: Sendable, Equatable {
        package let name: String
        package let used: Int
        package let left: Int
    }

    /// In the order of the dimensions; nil where there is none, as for requests without such a tag.
    package let labels: [String?]
    package var sums: UsageSums
    package var budget: Budget?
}

/// What was used, told apart as the query wants it.
package struct UsageReport: Sendable, Equatable {
    package let query: UsageQuery
    /// As the clocks of the time zone show them, with the difference from UTC: `2026-10-01T00:00+02:00`.
    package let from: String
    /// Not included.
    package let to: String
    package private(set) var rows: [UsageRow]
    /// What was left out of `rows`, and of how many rows it is the sum.
    package private(set) var others: (count: Int, sums: UsageSums)?
    package let totals: UsageSums

    /// Puts the rows in their order: by the dimensions as they were named, times from the oldest, texts by their bytes,
    /// a missing value before all others.
    package init(_ query: UsageQuery, from: String, to: String, rows: [UsageRow]) {
        self.query = query
        self.from = from
        self.to = to
        self.rows = UsageReport.ordered(rows, query.dimensions)
        totals = rows.reduce(into: UsageSums(nothingOf: query)) { $0.add($1.sums) }
    }

    /// Whether rows have a budget to show: where only tenants and keys are told apart.
    package var hasBudgets: Bool { query.dimensions.allSatisfy { $0 == .tenant || $0 == .key } }

    /// The tags, as `tag:KEY`, that the report was told apart by and of which no row has a value; none where there are
    /// no rows, which says nothing about tags.
    package var emptyTags: [String] {
        guard !rows.isEmpty else { return [] }
        return query.dimensions.enumerated().compactMap { place, dimension in
            guard case .tag = dimension, rows.allSatisfy({ $0.labels[place] == nil }) else { return nil }
            return dimension.name
        }
    }

    /// Keeps the largest rows, the largest first, and adds the others up. Rows are compared by LLM tokens, then by
    /// cost, SLM tokens and requests; equal ones stay in their order.
    package mutating func keep(top count: Int) {
        let ranked = rows.enumerated().sorted { left, right in
            let (a, b) = (left.element.sums, right.element.sums)
            if a.llmTokens != b.llmTokens { return a.llmTokens > b.llmTokens }
            if a.costPico != b.costPico { return a.costPico > b.costPico }
            if a.slmTokens != b.slmTokens { return a.slmTokens > b.slmTokens }
            if a.requests != b.requests { return a.requests ?? 0 > b.requests ?? 0 }
            return left.offset < right.offset
        }.map(\.element)
        rows = Array(ranked.prefix(count))
        let left = ranked.dropFirst(count)
        others = left.isEmpty ? nil : (left.count, left.reduce(into: UsageSums()) { $0.add($1.sums) })
    }

    package static func == (left: UsageReport, right: UsageReport) -> Bool {
        left.query == right.query && left.from == right.from && left.to == right.to && left.rows == right.rows
            && left.others?.count == right.others?.count && left.others?.sums == right.others?.sums
    }

    /// By what a row is ordered: a missing value first, hours by when they were, everything else by its bytes.
    private enum Place: Comparable {
        case missing
        case at(Int64)
        case named([UInt8])

        static func < (left: Place, right: Place) -> Bool {
            switch (left, right) {
            case (.missing, let other): other != .missing
            case (.at(let left), .at(let right)): left < right
            case (.named(let left), .named(let right)): left.lexicographicallyPrecedes(right)
            default: false
            }
        }
    }

    private static func ordered(_ rows: [UsageRow], _ dimensions: [UsageDimension]) -> [UsageRow] {
        let keyed = rows.map { row in
            let places = zip(row.labels, dimensions).map { label, dimension in
                label.map { dimension == .hour ? Place.at(instant($0)) : .named(Array($0.utf8)) } ?? .missing
            }
            return (places: places, row: row)
        }
        return keyed.sorted { $0.places.lexicographicallyPrecedes($1.places) }.map(\.row)
    }

    /// When an hour that clocks show twice was, its difference from UTC says: `2026-10-25T02:00+01:00`.
    private static func instant(_ text: String) -> Int64 {
        let parts = text.suffix(5).split(separator: ":").compactMap { Int64($0) }
        let clock = Timestamp(rfc3339: String(text.prefix(16)))?.microseconds ?? 0
        guard parts.count == 2 else { return clock }
        let offset = (parts[0] * 60 + parts[1]) * (text.dropLast(5).hasSuffix("-") ? -1 : 1)
        return clock - offset * 60_000_000
    }
}
