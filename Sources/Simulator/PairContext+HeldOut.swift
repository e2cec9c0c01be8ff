/// Thresholds that are chosen on one part of the rows and reported on the other.
extension PairContext {
    /// What the split comes to: a section, and the rows that have no score.
    struct HeldOut {
        var table: HeldOutTable
        var section: Section
        var exclusions: [Report.Exclusion]
        /// Rows of the two parts, for the report's head.
        var coverage: String
    }

    /// One row that a threshold can be chosen or reported on.
    private struct Scored {
        var isTraining: Bool
        var cluster: String
        var score: Double
        var sums: ScoreSums
    }

    /// Nil when no policy chooses a threshold.
    func heldOut() throws(SimulationError) -> HeldOut? {
        guard !options.chosen.isEmpty else { return nil }
        let split = try PairSplit(table, options)
        var rows: [HeldOutTable.Row] = []
        var columns: [String: [Scored]] = [:]
        var exclusions: [Report.Exclusion] = []
        for chosen in options.chosen {
            if columns[chosen.column] == nil {
                let (scored, left) = try scored(chosen.column, split)
                columns[chosen.column] = scored
                if left > 0 {
                    exclusions.append(
                        Report.Exclusion(
                            "the score \(chosen.column) is empty: in no threshold that is chosen by it", requests: left)
                    )
                }
            }
            let scored = columns[chosen.column] ?? []
            let held = scored.filter { !$0.isTraining }
            rows.append(
                HeldOutTable.Row(
                    policy: chosen.name, aim: chosen.aim, train: PairContext.part(scored.filter(\.isTraining)),
                    heldOut: PairContext.part(held), interval: { interval(held, $0) }))
        }
        let isIndependent = options.cluster == .request
        let table = HeldOutTable(
            results: rows.map { HeldOutTable.Result($0) }, hasMoney: costs != nil, isIndependent: isIndependent,
            level: options.bootstrap.level)
        return HeldOut(
            table: table, section: table.section(notes: [split.note]), exclusions: exclusions,
            coverage: split.coverage(self.table))
    }

    private func scored(
        _ column: String, _ split: PairSplit
    ) throws(SimulationError) -> (scored: [Scored], left: Int) {
        var scored: [Scored] = []
        var left = 0
        for (index, text) in try table.column(column, for: "score").enumerated() {
            let row = table.rows[index]
            guard let score = try PairContext.score(text, column, line: row.line) else {
                left += 1
                continue
            }
            let sums = ScoreSums(
                slm: (row.slmCorrect, costs?.entries[index].slm ?? 0),
                llm: (row.llmCorrect, costs?.entries[index].llm ?? 0))
            let cluster = split.cluster(line: row.line, row.fields)
            scored.append(
                Scored(
                    isTraining: split.isTraining(line: row.line, cluster), cluster: cluster, score: score, sums: sums))
        }
        guard let place = table.header.firstIndex(of: column) else { return (scored, left) }
        for row in table.incomplete {
            guard let score = try PairContext.score(row.fields[place], column, line: row.line) else { continue }
            var sums = ScoreSums()
            sums.judged = 1
            sums.slm.add(bounds: PairContext.bounds(row.slmCorrect))
            sums.llm.add(bounds: PairContext.bounds(row.llmCorrect))
            let cluster = split.cluster(line: row.line, row.fields)
            scored.append(
                Scored(
                    isTraining: split.isTraining(line: row.line, cluster), cluster: cluster, score: score, sums: sums))
        }
        return (scored, left)
    }

    private static func bounds(_ verdict: Bool?) -> Extent {
        let million = Int128(ReplayPlan.million)
        return verdict.map { Extent($0 ? million : 0) } ?? Extent(0, million)
    }

    /// Nil for an empty field.
    static func score(_ text: String, _ column: String, line: Int) throws(SimulationError) -> Double? {
        if text.isEmpty { return nil }
        guard let value = Double(text), value.isFinite else {
            throw SimulationError(
                .data, column, "line \(line): \"\(text.prefix(40))\" is no number; a score is one, or empty")
        }
        return value == 0 ? 0 : value
    }

    private static func part(_ rows: [Scored]) -> ScoredPart {
        var bins: [Double: ScoreSums] = [:]
        for row in rows { bins[row.score, default: ScoreSums()].merge(row.sums) }
        return ScoredPart(bins.map { ($0.key, $0.value) })
    }

    /// Of the held-out accuracy: a bootstrap of the held-out rows' clusters, in the order in which they are first seen.
    private func interval(_ held: [Scored], _ routed: ScoredPart.Routed) -> Interval? {
        var places: [String: Int] = [:]
        var clusters: [[Int128]] = []
        for row in held where row.sums.usable > 0 {
            let isSent = routed.threshold.map { row.score >= $0 } ?? false
            let right = (isSent ? row.sums.llm : row.sums.slm).right
            if options.cluster != .request, let place = places[row.cluster] {
                clusters[place][0] += 1
                clusters[place][1] += right
            } else {
                places[row.cluster] = clusters.count
                clusters.append([1, right])
            }
        }
        var sums = ClusterSums(width: 2)
        for cluster in clusters { sums.append(cluster) }
        let million = Int128(ReplayPlan.million)
        return options.bootstrap.interval(sums, of: clusterName) { sums in
            Number.quotient(sums[sums.startIndex + 1], sums[sums.startIndex] * million)
        }
    }
}

/// Which rows of a pair table are in the training part.
struct PairSplit {
    private let train: TrainSplit
    private let seed: UInt64
    /// The first line that is held out; of a split by the file's order.
    private let boundary: Int?
    /// The column whose values hold rows together; nil: the line.
    private let place: Int?
    private let name: String

    /// - Throws: `SimulationError` when there is no column of the cluster's name.
    init(_ table: PairTable, _ options: PairOptions) throws(SimulationError) {
        train = options.train
        seed = options.bootstrap.seed
        let column: String?
        switch options.cluster {
        case .request: column = table.roles[.id]
        case .tenant: column = "tenant"
        case .tag(let name): column = name
        }
        place = column.flatMap { name in table.header.firstIndex { $0 == name } }
        name = place == nil ? "line" : column ?? "line"
        guard train.order == .file else {
            boundary = nil
            return
        }
        let count = (train.exactShare * .whole(Int128(table.rows.count))).floor ?? 0
        boundary = table.rows.indices.contains(count) ? table.rows[count].line : Int.max
    }

    func cluster(line: Int, _ fields: [String]) -> String { place.map { fields[$0] } ?? String(line) }

    func isTraining(line: Int, _ cluster: String) -> Bool {
        if let boundary { return line < boundary }
        return train.isTraining(hash: stableHash(cluster), seed: seed)
    }

    /// How many of the rows with both verdicts are in either part.
    func coverage(_ table: PairTable) -> String {
        let training = table.rows.count { isTraining(line: $0.line, cluster(line: $0.line, $0.fields)) }
        return "\(training) requests to choose on, \(table.rows.count - training) held out"
    }

    var note: String {
        let share = Decimals.text(train.exactShare * .whole(100), decimals: 2)
        return boundary == nil
            ? "Training part: \(share) % of the requests in expectation, by a hash of \(name) and the seed \(seed); train: "
                + "random."
            : "Training part: the first \(share) % of the rows, in the file's order; train: file."
    }
}
