internal import Accounting

/// Requests by when they arrived and by a score, in constant memory: what thresholds are chosen from and reported on.
///
/// Times and scores are taken as they are while there are few of them. When there are more than a limit, they are
/// taken in steps of a power of two, the smallest with which there are no more: times of 2, 4, 8 … microseconds, scores
/// of 2^-30, 2^-29 … Which steps are needed follows from the times and scores that the whole has, so neither
/// order nor parts are seen in the result. Steps leave out thresholds, and moments at which the parts could end; they
/// blur nothing: a step's first score is a threshold like any other, and all sums above it are exact.
struct ScoreTable: Equatable {
    static let timeLimit = 128
    static let scoreLimit = 512

    struct Key: Hashable {
        /// Microseconds, or a number of steps; of a random split 0 for training and 1 for held out.
        var time: Int64
        /// The first score of a step.
        var score: Double
    }

    /// Steps of 2^level microseconds.
    private(set) var timeLevel = 0
    /// 0: as they are; from then on steps of 2^(level − 31).
    private(set) var scoreLevel = 0
    private var times: Set<Int64> = []
    private var scores: Set<Double> = []
    private(set) var cells: [Key: ScoreSums] = [:]

    init() {}

    /// Adds what a request comes to under either model.
    mutating func add(_ sums: ScoreSums, time: Int64, score: Double) {
        insert(
            sums, time: ScoreTable.time(time, from: 0, to: timeLevel),
            score: ScoreTable.score(score, level: scoreLevel))
    }

    mutating func merge(_ other: ScoreTable) {
        widen(time: max(timeLevel, other.timeLevel), score: max(scoreLevel, other.scoreLevel))
        for (key, sums) in other.cells {
            insert(
                sums, time: ScoreTable.time(key.time, from: other.timeLevel, to: timeLevel),
                score: ScoreTable.score(key.score, level: scoreLevel))
        }
    }

    /// - Parameters: in the steps that there are.
    private mutating func insert(_ sums: ScoreSums, time: Int64, score: Double) {
        times.insert(time)
        scores.insert(score)
        cells[Key(time: time, score: score), default: ScoreSums()].merge(sums)
        var levels = (time: timeLevel, score: scoreLevel)
        var (someTimes, someScores) = (times, scores)
        while someTimes.count > ScoreTable.timeLimit {
            someTimes = Set(someTimes.map { ScoreTable.time($0, from: levels.time, to: levels.time + 1) })
            levels.time += 1
        }
        while someScores.count > ScoreTable.scoreLimit {
            levels.score += 1
            someScores = Set(someScores.map { ScoreTable.score($0, level: levels.score) })
        }
        widen(time: levels.time, score: levels.score)
    }

    /// Takes larger steps.
    private mutating func widen(time: Int, score: Int) {
        guard time > timeLevel || score > scoreLevel else { return }
        let old = self
        self = ScoreTable()
        (timeLevel, scoreLevel) = (time, score)
        for (key, sums) in old.cells {
            let own = Key(
                time: ScoreTable.time(key.time, from: old.timeLevel, to: time),
                score: ScoreTable.score(key.score, level: score))
            times.insert(own.time)
            scores.insert(own.score)
            cells[own, default: ScoreSums()].merge(sums)
        }
    }

    /// The step in which a time lies. Steps of a level are made of whole ones of the level before.
    private static func time(_ time: Int64, from level: Int, to other: Int) -> Int64 {
        other > level ? time >> Int64(other - level) : time
    }

    /// The first score of the step in which a score lies.
    private static func score(_ score: Double, level: Int) -> Double {
        if score == 0 { return 0 }
        guard level > 0 else { return score }
        let step = ScoreTable.step(level)
        // A score whose neighbours are further away than a step is a step's first.
        guard score.ulp < step else { return score }
        let place = (score / step).rounded(.down)
        if place == 0 { return score < 0 ? -step : 0 }
        // The lowest step may begin below every number; its first score is then the lowest one.
        return max(place * step, -.greatestFiniteMagnitude)
    }

    private static func step(_ level: Int) -> Double { Double(sign: .plus, exponent: level - 31, significand: 1) }

    /// The steps in which scores are taken; nil: as they are.
    var scoreStep: Double? { scoreLevel > 0 ? ScoreTable.step(scoreLevel) : nil }
    /// The steps in which times are taken, in seconds; nil: as they are.
    var timeStep: Number? {
        timeLevel > 0 ? Number.quotient(Int128(1) << Int128(timeLevel), 1_000_000) : nil
    }

    /// The two parts of a split.
    struct Parts {
        var train: ScoredPart
        var heldOut: ScoredPart
        /// The first moment that is held out, in microseconds; nil when all times are in the training part, and for a
        /// random split.
        var boundary: Int64?
    }

    /// A random split: the times are the parts.
    var randomParts: Parts { parts { $0 == 0 } }

    /// The first requests, as many as are at most the share of those that can be used, and the rest.
    func parts(share: Number) -> Parts {
        var usable: [Int64: Int] = [:]
        for (key, sums) in cells { usable[key.time, default: 0] += sums.usable }
        let most = share * .whole(Int128(usable.values.reduce(0, +)))
        var sum = 0
        var first: Int64?
        for (time, count) in usable.sorted(by: { $0.key < $1.key }) {
            sum += count
            if .whole(Int128(sum)) > most {
                first = time
                break
            }
        }
        var parts = parts { time in first.map { time < $0 } ?? true }
        parts.boundary = first.map { moment($0) }
        return parts
    }

    private func parts(_ isTraining: (Int64) -> Bool) -> Parts {
        func part(_ isIn: (Int64) -> Bool) -> ScoredPart {
            ScoredPart(rows: cells.filter { isIn($0.key.time) }.map { ($0.key.score, $0.value) })
        }
        return Parts(train: part(isTraining), heldOut: part { !isTraining($0) })
    }

    /// Where a step begins, in microseconds.
    private func moment(_ time: Int64) -> Int64 { time << Int64(timeLevel) }

    // MARK: Parts of a simulation

    func encode(_ writer: inout PartialWriter) {
        writer.put(timeLevel)
        writer.put(scoreLevel)
        writer.put(cells.count)
        for (key, sums) in cells.sorted(by: { ($0.key.time, $0.key.score) < ($1.key.time, $1.key.score) }) {
            writer.put(Int128(key.time))
            writer.put(key.score.bitPattern)
            for count in [sums.usable, sums.judged, sums.unpriced] { writer.put(count) }
            for value in sums.slm.values + sums.llm.values { writer.put(value) }
        }
    }

    init(_ reader: inout PartialReader) throws(SimulationError) {
        timeLevel = try reader.int()
        scoreLevel = try reader.int()
        guard (0...64).contains(timeLevel), (0...1100).contains(scoreLevel) else { throw PartialReader.damaged }
        for _ in 0..<(try reader.count()) {
            guard let time = Int64(exactly: try reader.number()) else { throw PartialReader.damaged }
            let score = Double(bitPattern: try reader.word())
            var sums = ScoreSums()
            sums.usable = try reader.int()
            sums.judged = try reader.int()
            sums.unpriced = try reader.int()
            var values: [Int128] = []
            for _ in 0..<2 * ModelSums.width { values.append(try reader.number()) }
            sums.slm = ModelSums(values[..<ModelSums.width])
            sums.llm = ModelSums(values[ModelSums.width...])
            times.insert(time)
            scores.insert(score)
            guard score.isFinite, times.count <= ScoreTable.timeLimit, scores.count <= ScoreTable.scoreLimit,
                cells.updateValue(sums, forKey: Key(time: time, score: score)) == nil
            else { throw PartialReader.damaged }
        }
    }
}
