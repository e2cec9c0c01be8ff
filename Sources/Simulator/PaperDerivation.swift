/// What follows from the paper's tables, in exact arithmetic. Accuracies are in percent, call ratios in shares.
package struct PaperDerivation: Sendable {
    package let data: PaperData
    package let llm: PaperData.System
    /// The SLM with the method of the abstract, to which others are compared.
    package let relay: PaperData.System

    package init(_ data: PaperData) throws(SimulationError) {
        self.data = data
        llm = try data.system("8B LLM")
        relay = try data.system("1.7B RelayLLM-Difficulty")
    }

    /// Rows that have an SLM to be compared with: all but Base and the LLM.
    package var systems: [PaperData.System] {
        data.mathematics.filter { $0.name != "Base" && $0.name != "LLM" }
    }

    package func base(_ system: PaperData.System) throws(SimulationError) -> PaperData.System {
        try data.system(system.slm + " Base")
    }

    /// The mean of a row's six accuracies.
    package func rowMean(_ system: PaperData.System) -> Number { mean(system.cells.map(\.number)) }

    /// Of the published averages.
    package func comparison(_ system: PaperData.System) throws(SimulationError) -> RouterComparison {
        try RouterComparison(
            accuracy: published(system), slm: published(base(system)), llm: published(llm),
            llmShare: system.callRatio)
    }

    /// Of one benchmark; its call ratio is unpublished, the average one stands in for it.
    package func comparison(_ system: PaperData.System, benchmark: Int) throws(SimulationError) -> RouterComparison {
        try RouterComparison(
            accuracy: cell(system, benchmark), slm: cell(base(system), benchmark), llm: cell(llm, benchmark),
            llmShare: system.callRatio)
    }

    /// Of Table 2, which has no call ratios.
    package func domainComparison(_ system: PaperData.System, domain: Int) throws(SimulationError) -> RouterComparison {
        let base = data.domains.first { $0.slm == system.slm && $0.name == "Base" }
        guard let base, let llm = data.domains.first(where: { $0.name == "LLM" }) else {
            throw SimulationError(.data, "domains.csv", "has no row of Base or of the LLM for \(system.title)")
        }
        return try RouterComparison(
            accuracy: cell(system, domain), slm: cell(base, domain), llm: cell(llm, domain), llmShare: nil)
    }

    /// Benchmarks whose cell is no number of right answers over all answers: such a row is a mean of several runs.
    ///
    /// Half a unit of the last digit counts as either, as 150 of 960 is printed as 15.62: others round ties to even.
    package func fractionless(_ system: PaperData.System) -> [PaperData.Benchmark] {
        zip(system.cells, data.benchmarks).compactMap { cell, benchmark in
            let count = Int128(benchmark.answers)
            let near = (cell.number * .ratio(count, 100)).floor.map { Int128($0) } ?? 0
            let isFraction = (near...near + 1).contains { cell.isWithinHalf(.ratio($0 * 100, count)) }
            return isFraction ? nil : benchmark
        }
    }

    /// A system of fixed length beside RelayLLM.
    package struct FixedLength: Sendable, Equatable {
        /// RelayLLM's accuracy less this one's.
        package let accuracyDifference: Number
        /// This call ratio over RelayLLM's.
        package let callRatioMultiple: Number
        /// LLM tokens that RelayLLM saves, as a share of this system's.
        package let saving: Number
        /// The share of requests to serve with it, and the rest with Base, at RelayLLM's call ratio.
        package let timeShare: Number
        package let timeSharedAccuracy: Number
        package let gainAtMatchedCost: Number
        /// Points above Base for each percent of LLM tokens.
        package let pointsPerPercent: Number
    }

    /// Nil when a call ratio is missing or zero.
    package func fixedLength(_ system: PaperData.System) throws(SimulationError) -> FixedLength? {
        guard let own = system.callRatio, let ratio = relay.callRatio, let multiple = own.divided(by: ratio),
            let share = MatchedCost.timeShare(cost: ratio, cheap: .zero, dear: own),
            let points = try pointsPerPercent(system)
        else { return nil }
        let (slm, accuracy, best) = try (published(base(system)), published(system), published(relay))
        let shared = slm + share * (accuracy - slm)
        return FixedLength(
            accuracyDifference: best - accuracy, callRatioMultiple: multiple, saving: .one - share, timeShare: share,
            timeSharedAccuracy: shared, gainAtMatchedCost: best - shared, pointsPerPercent: points)
    }

    package func pointsPerPercent(_ system: PaperData.System) throws(SimulationError) -> Number? {
        guard let ratio = system.callRatio else { return nil }
        return try (published(system) - published(base(system))).divided(by: ratio * .whole(100))
    }

    /// From RelayLLM to another system: points for each further percent of LLM tokens.
    package func marginalPointsPerPercent(_ system: PaperData.System) throws(SimulationError) -> Number? {
        guard let own = system.callRatio, let ratio = relay.callRatio else { return nil }
        return try (published(system) - published(relay)).divided(by: (own - ratio) * .whole(100))
    }

    /// The accuracy of two systems that are served in turn so that their call ratio is that of a third.
    package func timeShared(
        _ cheap: PaperData.System, _ dear: PaperData.System, like third: PaperData.System
    ) throws(SimulationError) -> Number? {
        guard let low = cheap.callRatio, let high = dear.callRatio, let ratio = third.callRatio,
            let share = MatchedCost.timeShare(cost: ratio, cheap: low, dear: high)
        else { return nil }
        let (first, second) = try (published(cheap), published(dear))
        return first + share * (second - first)
    }

    /// A random router between the trained SLM without its teacher (Table 4) and the LLM.
    package struct TrainedBaseline: Sendable, Equatable {
        /// (4 · Easy + 2 · Hard) / 6.
        package let teacherFree: Number
        package let comparison: RouterComparison
        package let gainFromTraining: Number
        package let gainFromCalls: Number
    }

    /// Nil for systems that Table 4 does not have.
    package func trainedBaseline(_ system: PaperData.System) throws(SimulationError) -> TrainedBaseline? {
        guard let row = data.teacherFree.first(where: { $0.name == system.name && !$0.hasTeacher }) else { return nil }
        let hard = data.benchmarks.count { $0.isHard }
        let easy = data.benchmarks.count - hard
        let free = mean(
            Array(repeating: row.easy.number, count: easy) + Array(repeating: row.hard.number, count: hard))
        let (accuracy, slm) = try (published(system), published(base(system)))
        return TrainedBaseline(
            teacherFree: free,
            comparison: RouterComparison(
                accuracy: accuracy, slm: free, llm: try published(llm), llmShare: system.callRatio),
            gainFromTraining: free - slm, gainFromCalls: accuracy - free)
    }

    /// Means over the easy or the hard benchmarks, as Table 4 has them.
    package func mean(_ system: PaperData.System, hard: Bool) -> Number {
        mean(zip(system.cells, data.benchmarks).filter { $0.1.isHard == hard }.map(\.0.number))
    }

    /// p* of a row when benchmarks are weighted, in their order.
    package func match(_ system: PaperData.System, weights: [Int]) throws(SimulationError) -> PerformanceMatch {
        func weighted(_ row: PaperData.System) -> Number {
            let total = Number.whole(Int128(weights.reduce(0, +)))
            let sum = Number.sum(zip(row.cells, weights).map { $0.number * .whole(Int128($1)) })
            return sum.divided(by: total) ?? .zero
        }
        return try PerformanceMatch(accuracy: weighted(system), slm: weighted(base(system)), llm: weighted(llm))
    }

    /// The binomial standard error of a cell in points, as if each question had been answered once.
    package func standardError(_ system: PaperData.System, benchmark: Int) throws(SimulationError) -> Number {
        let share = try cell(system, benchmark)
        let questions = Number.whole(Int128(data.benchmarks[benchmark].questions))
        return (share * (.whole(100) - share)).divided(by: questions)?.squareRoot ?? .zero
    }

    package func published(_ system: PaperData.System) throws(SimulationError) -> Number {
        guard let average = system.average else { throw missing(system) }
        return average.number
    }

    func mean(_ numbers: [Number]) -> Number { Number.mean(numbers) ?? .zero }

    private func cell(_ system: PaperData.System, _ index: Int) throws(SimulationError) -> Number {
        guard system.cells.indices.contains(index) else { throw missing(system) }
        return system.cells[index].number
    }

    private func missing(_ system: PaperData.System) -> SimulationError {
        SimulationError(.data, "table \(system.table)", "the row \(system.title) is not complete")
    }
}
