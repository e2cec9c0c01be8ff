internal import Accounting

/// Thresholds that are chosen on one part of the trace and reported on the other.
extension TraceSimulation {
    /// Adds a request to the tables of the scores that thresholds are chosen by.
    ///
    /// - Parameter isPaired: whether it has a verdict and known answers of both models alone.
    mutating func addScores(
        _ request: LoggedRequest, _ scores: [String: Double?], _ slm: ReplayedRequest, _ llm: ReplayedRequest,
        isPaired: Bool
    ) {
        guard !scoreTables.isEmpty else { return }
        var sums = ScoreSums()
        sums.judged = 1
        sums.slm.add(bounds: slm[.correct])
        sums.llm.add(bounds: llm[.correct])
        if isPaired {
            sums.usable = 1
            var costs = (slm: Extent.zero, llm: Extent.zero)
            if let money = plan.money {
                costs = (slm[cost: money], llm[cost: money])
                let isUnpriced = (slm.unpriced | llm.unpriced) >> UInt64(money) & 1 != 0
                if isUnpriced || costs.slm.isOpen || costs.llm.isOpen {
                    sums.unpriced = 1
                    costs = (.zero, .zero)
                }
            }
            sums.slm.add(right: slm[.correct].low, cost: costs.slm)
            sums.llm.add(right: llm[.correct].low, cost: costs.llm)
        }
        var time = request.arrived.microseconds
        if plan.train.order == .random {
            time = plan.train.isTraining(hash: clusterHash(request), seed: plan.scenario.seed) ? 0 : 1
        }
        for (index, name) in plan.chosenScores.enumerated() {
            guard let score = scores[name] ?? nil else { continue }
            scoreTables[index].add(sums, time: time, score: score)
        }
    }

    /// Nil when no policy chooses a threshold.
    var heldOut: (table: HeldOutTable, section: Section, coverage: String)? {
        guard !plan.chosenScores.isEmpty else { return nil }
        let level = ConfidenceLevel.ninetyFive
        let isIndependent = plan.scenario.cluster == .request
        let parts = scoreTables.map { table in
            plan.train.order == .random ? table.randomParts : table.parts(share: plan.train.exactShare)
        }
        let rows = plan.scenario.policies.compactMap { policy -> HeldOutTable.Row? in
            guard case .chosenThreshold(let name, let aim) = policy.counterfactual,
                let place = plan.chosenScores.firstIndex(of: name)
            else { return nil }
            return HeldOutTable.Row(
                policy: policy.name, score: name, aim: aim, train: parts[place].train, heldOut: parts[place].heldOut,
                interval: { isIndependent ? $0.interval(level: level) : nil })
        }
        let table = HeldOutTable(
            results: rows.map { HeldOutTable.Result($0) }, hasMoney: plan.money != nil, isIndependent: isIndependent,
            level: level)
        let coverage = zip(plan.chosenScores, parts).map { name, parts in
            let boundary = parts.boundary.map { ", which arrived from \(TraceSimulation.moment($0)) on" } ?? ""
            return
                "by \(name), \(parts.train.total.usable) requests to choose on, \(parts.heldOut.total.usable) held out"
                + boundary
        }
        return (table, table.section(notes: heldOutNotes), coverage.joined(separator: "; "))
    }

    private var heldOutNotes: [String] {
        let share = Decimals.text(plan.train.exactShare * .whole(100), decimals: 2)
        var notes = [
            "On the requests that have the score and whose answers by both models alone are known; the last accuracy is "
                + "of all requests that have the score and a verdict."
        ]
        if plan.train.order == .random {
            notes.append(
                "Training part: \(share) % of the requests in expectation, by a hash of the \(clusterName) and the seed "
                    + "\(plan.scenario.seed); train: random.")
        } else {
            notes.append(
                "Training part: the first that arrived, at most \(share) % of those requests; train: time."
                    + (plan.scenario.cluster == .request ? "" : " A \(clusterName) may have requests in both parts."))
        }
        if plan.scenario.cluster != .request {
            notes.append(
                "Held-out accuracies have no interval here: its formula would take requests as independent of each other, "
                    + "and those of one \(clusterName) are not.")
        }
        for (name, table) in zip(plan.chosenScores, scoreTables) {
            let steps = [
                table.scoreStep.map { "scores in steps of \(Number.plain($0))" },
                table.timeStep.map { "times in steps of \(Decimals.text($0, decimals: 6)) s" },
            ].compactMap { $0 }
            if !steps.isEmpty {
                notes.append("By \(name): \(steps.joined(separator: ", ")); of each step its first can be chosen.")
            }
        }
        return notes
    }

    /// To the microsecond, so that it tells which requests are in which part.
    private static func moment(_ microseconds: Int64) -> String {
        let part = microseconds % 1_000_000
        let digits = String((part < 0 ? part + 1_000_000 : part) + 1_000_000).dropFirst()
        return Timestamp(microseconds: microseconds).rfc3339.dropLast() + ".\(digits)Z"
    }

    var clusterName: String {
        switch plan.scenario.cluster {
        case .request: "request"
        case .tenant: "tenant"
        case .tag(let key): key
        }
    }
}
