/// A pair table with what all sections of its report share.
struct PairContext {
    let table: PairTable
    let options: PairOptions
    let counts: PairCounts
    let slm: Number
    let llm: Number
    let costs: PairCosts?
    /// All rows by each of the options' scores.
    let scoreParts: [ScoredPart]
    /// Of requests, SLM right and LLM right, replicate after replicate.
    let sums: [Int128]
    let clusterName: String
    let clusterCount: Int
    /// Of the requests; nil when each is its own cluster.
    let largestCluster: Number?

    /// Of a random router at each of the options' shares.
    private(set) var randomIntervals: [Interval?] = []

    static let width = 3

    init(_ table: PairTable, _ options: PairOptions) throws(SimulationError) {
        self.table = table
        self.options = options
        counts = table.counts
        guard let slm = counts.slmAccuracy, let llm = counts.llmAccuracy else {
            throw SimulationError(.data, nil, "no row has both verdicts; there is nothing to compute")
        }
        (self.slm, self.llm) = (slm, llm)
        if options.prices != nil, !table.hasTokens || !table.hasPromptTokens {
            throw SimulationError(
                .scenario, "prices",
                "money needs the columns slm_tokens, llm_tokens and prompt_tokens; the file has "
                    + table.header.joined(separator: ", "))
        }
        let costs = options.prices.map { PairCosts(table, prices: $0) }
        self.costs = costs
        scoreParts = try options.scores.map { (score) throws(SimulationError) in
            try PairContext.part(table, score.column, costs)
        }
        let clusters = try PairContext.clusters(table, options)
        clusterName = clusters.name
        clusterCount = clusters.sums.count
        largestCluster = clusters.largest
        sums = options.bootstrap.sums(clusters.sums)
        randomIntervals = options.shares.map(randomInterval)
    }

    /// Why there are no bootstrap intervals; nil when there are, and when none are asked for.
    var intervalAbsence: String? { options.bootstrap.absence(clusters: clusterCount, name: clusterName) }

    var intervalMethod: String {
        let bootstrap = options.bootstrap
        guard bootstrap.replicates > 0 else { return "by formulas alone, no bootstrap was asked for" }
        if let intervalAbsence { return "none: \(intervalAbsence)" }
        return "\(Decimals.text(bootstrap.level.share * 100, decimals: 0)) %, paired bootstrap by \(clusterName), "
            + "\(bootstrap.replicates) replicates, SplitMix64 seed \(bootstrap.seed), nearest rank"
    }

    /// The interval of (slmRight · a + llmRight · b) / requests over the drawn requests.
    func interval(slm a: Number, llm b: Number) -> Interval? {
        options.bootstrap.interval(sums: sums, width: PairContext.width, of: clusterName) { sums in
            let first = sums.startIndex
            return PairContext.share(sums[first + 1], a, sums[first + 2], b, of: sums[first])
        }
    }

    /// Thousands of these are made for an interval and two are kept, so that they are not reduced.
    private static func share(_ x: Int128, _ a: Number, _ y: Int128, _ b: Number, of total: Int128) -> Number? {
        guard let first = a.fraction, let second = b.fraction, first.denominator == second.denominator, total > 0
        else { return (.whole(x) * a + .whole(y) * b).divided(by: .whole(total)) }
        let products = [
            x.multipliedReportingOverflow(by: first.numerator), y.multipliedReportingOverflow(by: second.numerator),
            total.multipliedReportingOverflow(by: first.denominator),
        ]
        let (sum, overflow) = products[0].partialValue.addingReportingOverflow(products[1].partialValue)
        guard !overflow, products.allSatisfy({ !$0.overflow }) else {
            return (.whole(x) * a + .whole(y) * b).divided(by: .whole(total))
        }
        return .ratio(sum, products[2].partialValue)
    }

    /// A random router's accuracy with its interval.
    func randomInterval(_ share: Number) -> Interval? { interval(slm: .one - share, llm: share) }

    private struct Clusters {
        var sums: ClusterSums
        var name: String
        var largest: Number?
    }

    /// In the order in which clusters are first seen.
    private static func clusters(_ table: PairTable, _ options: PairOptions) throws(SimulationError) -> Clusters {
        func quantities(_ row: PairTable.Row) -> [Int128] { [1, row.slmCorrect ? 1 : 0, row.llmCorrect ? 1 : 0] }
        let column: String
        switch options.cluster {
        case .request:
            var sums = ClusterSums(width: width)
            for row in table.rows { sums.append(quantities(row)) }
            return Clusters(sums: sums, name: "request")
        case .tenant: column = "tenant"
        case .tag(let name): column = name
        }
        var places: [String: Int] = [:]
        var grouped: [[Int128]] = []
        for (value, row) in zip(try table.column(column, for: "cluster"), table.rows) {
            if let place = places[value] {
                for (index, quantity) in quantities(row).enumerated() { grouped[place][index] += quantity }
            } else {
                places[value] = grouped.count
                grouped.append(quantities(row))
            }
        }
        var sums = ClusterSums(width: width)
        for cluster in grouped { sums.append(cluster) }
        let largest = grouped.map { $0[0] }.max() ?? 0
        return Clusters(sums: sums, name: column, largest: Number.quotient(largest, Int128(table.rows.count)))
    }
}
