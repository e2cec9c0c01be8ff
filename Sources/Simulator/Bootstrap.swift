/// How sure an interval is.
package enum ConfidenceLevel: Int, Sendable, CaseIterable {
    /// The raw value is in thousandths, so that ranks are whole-number arithmetic.
    case ninety = 900
    case ninetyFive = 950
    case ninetyNine = 990

    /// 0.95, for example.
    package var share: Double { Double(rawValue) / 1000 }

    /// The quantile of the standard normal distribution that leaves half of the rest above it.
    package var normalQuantile: Double {
        switch self {
        case .ninety: 1.6448536269514722
        case .ninetyFive: 1.959963984540054
        case .ninetyNine: 2.5758293035489004
        }
    }
}

/// Sums that belong to one cluster each, in whole numbers: what a bootstrap draws from.
///
/// Quantities of one cluster stand side by side and are drawn together, so that differences are paired.
package struct ClusterSums: Sendable, Equatable {
    /// Quantities for each cluster.
    package let width: Int
    /// Cluster after cluster; `width` numbers each.
    package private(set) var values: [Int128] = []

    package init(width: Int) { self.width = max(1, width) }

    package var count: Int { values.count / width }

    /// Adds a cluster; quantities that are missing are zero, those beyond the width are not taken.
    package mutating func append(_ quantities: some Collection<Int128>) {
        values.append(contentsOf: quantities.prefix(width))
        values.append(contentsOf: repeatElement(0, count: max(0, width - quantities.count)))
    }
}

/// The percentile bootstrap (Efron 1979) with a generator that can be written anew in any language.
///
/// For each replicate, as many clusters as there are are drawn with replacement, each by one draw of `SplitMix64`
/// (`index(below:)`), from one generator that runs through all replicates. The interval's ends are order statistics
/// by nearest rank: of B sorted values the ⌈B·(1−level)/2⌉-th and the ⌈B·(1+level)/2⌉-th.
package struct Bootstrap: Sendable, Equatable {
    package var seed: UInt64
    package var replicates: Int
    package var level: ConfidenceLevel

    /// More replicates than this are not drawn; callers refuse to be asked for them.
    package static let replicateLimit = 1_000_000

    package init(seed: UInt64, replicates: Int = 2_000, level: ConfidenceLevel = .ninetyFive) {
        self.seed = seed
        self.replicates = replicates
        self.level = level
    }

    /// For each replicate the sums over the drawn clusters, replicate after replicate; sums wrap beyond 128 bits.
    ///
    /// None of a single cluster: every draw of it is the same, which says nothing of how sure it makes us.
    package func sums(_ clusters: ClusterSums) -> [Int128] {
        let (count, width) = (clusters.count, clusters.width)
        guard count > 1 else { return [] }
        let replicates = min(max(0, replicates), Bootstrap.replicateLimit)
        var generator = SplitMix64(seed: seed)
        var sums = [Int128](repeating: 0, count: replicates * width)
        for start in stride(from: 0, to: sums.count, by: width) {
            for _ in 0..<count {
                let drawn = generator.index(below: count) * width
                for quantity in 0..<width { sums[start + quantity] &+= clusters.values[drawn + quantity] }
            }
        }
        return sums
    }

    /// The interval of a statistic of the drawn sums; nil with fewer than two clusters, no replicates, or a statistic
    /// that is undefined (nil) in more than one replicate in a hundred. Fewer undefined ones are left out and said.
    package func interval(
        _ clusters: ClusterSums, of what: String = "request", statistic: (ArraySlice<Int128>) -> Number?
    ) -> Interval? {
        interval(sums: sums(clusters), width: clusters.width, of: what, statistic: statistic)
    }

    /// The same from sums that were drawn before, so that several statistics share the draws.
    package func interval(
        sums: [Int128], width: Int, of what: String = "request", statistic: (ArraySlice<Int128>) -> Number?
    ) -> Interval? {
        let values = stride(from: 0, to: sums.count, by: max(1, width))
            .compactMap { statistic(sums[$0..<min(sums.count, $0 + width)]) }
        let undefined = replicates - values.count
        guard let ends = Bootstrap.nearestRanks(values, level: level), undefined * 100 <= replicates else { return nil }
        let note = undefined == 0 ? "" : ", \(undefined) of them undefined and left out"
        return Interval(
            low: ends.low.reduced, high: ends.high.reduced, level: level.share,
            method: "paired bootstrap by \(what), \(replicates) replicates\(note), seed \(seed), nearest rank")
    }

    /// Why there is no interval of so many clusters; nil when there may be one, and when there is nothing to draw.
    ///
    /// - Parameters:
    ///   - request: what is drawn, such as "held-out request".
    ///   - name: what a cluster is, such as "tenant".
    func absence(clusters: Int, of request: String = "request", name: String) -> String? {
        guard clusters == 1, replicates > 0 else { return nil }
        return name == "request" ? "there is one \(request)" : "all \(request)s are of one cluster (\(name))"
    }

    /// The order statistics that bound the middle `level` of the values; nil when there are none.
    package static func nearestRanks(_ values: [Number], level: ConfidenceLevel) -> (low: Number, high: Number)? {
        guard !values.isEmpty else { return nil }
        let sorted = values.map { (key: $0.double, number: $0) }.sorted { $0.key < $1.key }.map(\.number)
        return (
            sorted[rank(values.count, 1000 - level.rawValue) - 1], sorted[rank(values.count, 1000 + level.rawValue) - 1]
        )
    }

    /// ⌈count · part / 2000⌉, at least 1 and at most `count`.
    private static func rank(_ count: Int, _ part: Int) -> Int {
        let (full, rest) = count.quotientAndRemainder(dividingBy: 2000)
        return min(max(full * part + (rest * part + 1999) / 2000, 1), count)
    }
}
