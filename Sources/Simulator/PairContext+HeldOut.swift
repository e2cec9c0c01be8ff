/// Thresholds that are chosen on one part of the rows and reported on the other.
extension PairContext {
    /// What the split comes to: a section, and the rows that have no score.
    struct HeldOut {
        var table: HeldOutTable
        var section: Section
        var exclusions: [Report.Exclusion]
        /// Rows of the two parts by each score, for the report's head.
        var coverage: String
        var warnings: [String]
    }

    /// One row that a threshold can be chosen or reported on.
    private struct Scored {
        var cluster: String
        var score: Double
        var sums: ScoreSums
    }

    /// The rows that thresholds by one score are chosen and reported on.
    private struct ScoredRows {
        var split: PairSplit
        var training: [Scored] = []
        var held: [Scored] = []
        /// Rows with both verdicts and without the score.
        var left = 0
        /// Of the held-out rows with both verdicts.
        var clusters = 0

        var coverage: String {
            let counts = [training, held].map { rows in rows.count { $0.sums.usable > 0 } }
            return "\(counts[0]) requests to choose on, \(counts[1]) held out"
        }
    }

    /// Nil when no policy chooses a threshold.
    func heldOut() throws(SimulationError) -> HeldOut? {
        guard !options.chosen.isEmpty else { return nil }
        var rows: [HeldOutTable.Row] = []
        var columns: [(name: String, rows: ScoredRows)] = []
        for chosen in options.chosen {
            let scored: ScoredRows
            if let known = columns.first(where: { $0.name == chosen.column }) {
                scored = known.rows
            } else {
                scored = try self.scored(chosen.column)
                columns.append((chosen.column, scored))
            }
            rows.append(
                HeldOutTable.Row(
                    policy: chosen.name, score: chosen.column, aim: chosen.aim,
                    train: ScoredPart(rows: scored.training.map { ($0.score, $0.sums) }),
                    heldOut: ScoredPart(rows: scored.held.map { ($0.score, $0.sums) }),
                    interval: { interval(scored.held, $0) }))
        }
        let isIndependent = options.cluster == .request
        let table = HeldOutTable(
            results: rows.map { HeldOutTable.Result($0) }, hasMoney: costs != nil, isIndependent: isIndependent,
            level: options.bootstrap.level)
        var notes = columns.prefix(1).map(\.rows.split.note)
        for (name, rows) in columns {
            let absence = options.bootstrap.absence(
                clusters: rows.clusters, of: "held-out request", name: clusterName)
            if let absence { notes.append("By \(name), the accuracy held out has no interval: \(absence).") }
        }
        return HeldOut(
            table: table, section: table.section(notes: notes),
            exclusions: columns.compactMap { name, rows in
                guard rows.left > 0 else { return nil }
                return Report.Exclusion(
                    "the score \(name) is empty: in no threshold that is chosen by it", requests: rows.left)
            },
            coverage: columns.map { "by \($0.name), \($0.rows.coverage)" }.joined(separator: "; "),
            warnings: repeatedIds.map { [$0] } ?? [])
    }

    /// The split is one of the rows that can be used, so that a score that begins late has a training part, too.
    private func scored(_ column: String) throws(SimulationError) -> ScoredRows {
        var usable: [(index: Int, score: Double)] = []
        for (index, text) in try table.column(column, for: "score").enumerated() {
            guard let score = try PairContext.score(text, column, line: table.rows[index].line) else { continue }
            usable.append((index, score))
        }
        let split = try PairSplit(table, options, lines: usable.map { table.rows[$0.index].line })
        var scored = ScoredRows(split: split, left: table.rows.count - usable.count)
        func add(line: Int, _ fields: [String], _ score: Double, _ sums: ScoreSums) {
            let cluster = split.cluster(line: line, fields)
            let row = Scored(cluster: cluster, score: score, sums: sums)
            if split.isTraining(line: line, cluster) { scored.training.append(row) } else { scored.held.append(row) }
        }
        for (index, score) in usable {
            let row = table.rows[index]
            add(line: row.line, row.fields, score, PairContext.sums(table, index, costs))
        }
        let held = scored.held
        scored.clusters = options.cluster == .request ? held.count : Set(held.map(\.cluster)).count
        guard let place = table.header.firstIndex(of: column) else { return scored }
        for row in table.incomplete {
            guard let score = try PairContext.score(row.fields[place], column, line: row.line) else { continue }
            var sums = ScoreSums()
            sums.judged = 1
            sums.slm.add(bounds: PairContext.bounds(row.slmCorrect))
            sums.llm.add(bounds: PairContext.bounds(row.llmCorrect))
            add(line: row.line, row.fields, score, sums)
        }
        return scored
    }

    /// Rows of one id are in one part of a random split, and many of one id leave little to split.
    private var repeatedIds: String? {
        guard options.cluster == .request, options.train.order != .file, let id = table.roles[.id],
            let place = table.header.firstIndex(of: id)
        else { return nil }
        var counts: [String: Int] = [:]
        for row in table.rows where !row.fields[place].isEmpty { counts[row.fields[place], default: 0] += 1 }
        let repeated = counts.values.filter { $0 > 1 }
        guard !repeated.isEmpty else { return nil }
        return
            "ids that stand in more than one row: \(repeated.count), in \(repeated.reduce(0, +)) rows; rows of one id are "
            + "always in one part, to choose on or held out, and intervals take them as independent"
    }

    private static func bounds(_ verdict: Bool?) -> Extent {
        let million = Int128(ReplayPlan.million)
        return verdict.map { Extent($0 ? million : 0) } ?? Extent(0, million)
    }

    /// Nil for an empty field.
    static func score(_ text: String, _ column: String, line: Int) throws(SimulationError) -> Double? {
        if text.isEmpty { return nil }
        guard let value = Decimals.double(text) else {
            throw SimulationError(
                .data, column, "line \(line): \"\(text.prefix(40))\" is no number; a score is one, or empty")
        }
        return value
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
    /// Whether that column holds ids.
    private let isById: Bool
    private let name: String

    /// - Parameter lines: of the rows that are split, in the file's order.
    /// - Throws: `SimulationError` when there is no column of the cluster's name.
    init(_ table: PairTable, _ options: PairOptions, lines: [Int]) throws(SimulationError) {
        train = options.train
        seed = options.bootstrap.seed
        isById = options.cluster == .request
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
        let count = (train.exactShare * .whole(Int128(lines.count))).floor ?? 0
        boundary = lines.indices.contains(count) ? lines[count] : Int.max
    }

    /// What holds a row together with others. A row without an id is one of its own.
    func cluster(line: Int, _ fields: [String]) -> String {
        guard let place, !(isById && fields[place].isEmpty) else { return String(line) }
        return fields[place]
    }

    func isTraining(line: Int, _ cluster: String) -> Bool {
        if let boundary { return line < boundary }
        return train.isTraining(hash: stableHash(cluster), seed: seed)
    }

    var note: String {
        let share = Decimals.text(train.exactShare * .whole(100), decimals: 2)
        return boundary == nil
            ? "Training part: \(share) % of the requests in expectation, by a hash of \(name) and the seed \(seed); train: "
                + "random."
            : "Training part: the first \(share) % of the rows that have the score and both verdicts, in the file's order; train: "
                + "file."
    }
}
