internal import Accounting

/// Replays the requests of a trace under the policies of a scenario. Its memory does not grow with the trace.
///
/// All that it keeps are sums of whole numbers, so a result does not depend on how requests were spread over values
/// that are merged later, nor on their order; budgets alone need the requests of a tenant in the order of arrival, and
/// in one part.
package struct TraceSimulation: Sendable {
    /// Group names beyond which a report cannot be read.
    static let groupLimit = 10_000

    let plan: ReplayPlan
    var seen = 0
    var outside = 0
    /// Requests without a score that a threshold asks for.
    var unscored = 0
    /// Requests whose answers by either model alone are known.
    var paired = 0
    var judged = 0
    /// Answers of a model alone that the log has and that were measured beside it.
    var measuredSLM = SecondMeasurements()
    var measuredLLM = SecondMeasurements()
    var first: Timestamp?
    var last: Timestamp?
    var sources: Set<String> = []
    var met: NamesMet
    var groups: [String: GroupSums] = [:]
    var clusters: ClusterTable
    var log = LogSums()
    var exploration: ExplorationSums
    var spend = TenantSpend()
    /// By the plan's scores that thresholds are chosen by.
    var scoreTables: [ScoreTable]
    /// By leaf; nil for those that are no budgets.
    var budgets: [BudgetReplay?]
    /// The last request of each tenant that met a budget.
    private var order: [String: UUID7] = [:]

    /// - Throws: `SimulationError` that names the member of the scenario that cannot be.
    package init(_ scenario: Scenario) throws(SimulationError) {
        let plan = try ReplayPlan(scenario)
        self.plan = plan
        clusters = ClusterTable(width: TraceSimulation.clusterWidth(plan))
        exploration = ExplorationSums(plan)
        scoreTables = plan.chosenScores.map { _ in ScoreTable() }
        met = NamesMet(costModels: plan.tables.count)
        budgets = plan.leaves.map { leaf in
            if case .budgets(let rules) = leaf { BudgetReplay(rules) } else { nil }
        }
    }

    package var scenario: Scenario { plan.scenario }

    /// Tags that the reader has to keep for this scenario.
    package var tags: Set<String> { plan.tags }

    /// Whether requests have to come in the order of arrival.
    package var isOrdered: Bool { plan.hasBudgets }

    /// Replays a request.
    ///
    /// - Returns: the policies, by their places in the scenario, under which it would have to be run again.
    /// - Throws: `SimulationError` when the request contradicts the scenario.
    @discardableResult
    package mutating func add(_ request: LoggedRequest) throws(SimulationError) -> UInt64 {
        let unordered = try addUnordered(request)
        return isOrdered ? unordered | (try addOrdered(request)) : unordered
    }

    /// All but the policies whose results depend on the order of requests.
    package mutating func addUnordered(_ request: LoggedRequest) throws(SimulationError) -> UInt64 {
        seen += 1
        guard isSelected(request) else {
            outside += 1
            return 0
        }
        met.add(request, plan)
        let replay = try prepared(request)
        if replay.verdict != nil { judged += 1 }
        first = min(first ?? request.arrived, request.arrived)
        last = max(last ?? request.arrived, request.arrived)
        log.add(request)
        let (slm, slmAgreement) = replay.alone(.slm)
        let (llm, llmAgreement) = replay.alone(.llm)
        measuredSLM.add(slmAgreement)
        measuredLLM.add(llmAgreement)
        let isPaired =
            replay.verdict != nil && slm.isReplayable && llm.isReplayable && slm[.slmTokens].isExact
            && llm[.llmTokens].isExact
        if isPaired { paired += 1 }
        let scores = scores(of: request)
        met.add(scores, of: request)
        if scores.contains(where: { $0.value == nil }) { unscored += 1 }
        exploration.add(replay, scores: scores)
        if replay.verdict != nil { addScores(request, scores, slm, llm, isPaired: isPaired) }
        var affected: Set<Int> = []
        var unpriced: UInt64 = 0
        let group = try group(request)
        let place = plan.scenario.replicates > 0 ? clusters.place(clusterHash(request)) : nil
        if let place { clusters.add(1, at: clusters.width - 1, place: place) }
        // The group is taken out while it changes, so that it is not copied.
        var sums = groups.removeValue(forKey: group) ?? emptyGroup
        defer { groups[group] = sums }
        for (index, leaf) in plan.leaves.enumerated() where !leaf.isOrdered {
            let result: ReplayedRequest
            switch leaf {
            case .asLogged, .budgets: result = replay.asLogged()
            case .slmOnly: result = slm
            case .llmOnly: result = llm
            case .change(let change): result = try replay.changed(change)
            case .oracle: result = .oracle(slm, llm, isJudged: replay.verdict != nil)
            case .threshold(let name, let threshold):
                result = (scores[name] ?? nil).map { $0 >= threshold ? llm : slm } ?? .either(slm, llm)
            case .cascade(let accept, let reject):
                result = .cascade(slm, llm, falseAccept: accept, falseReject: reject, isJudged: replay.verdict != nil)
            }
            if index == ReplayPlan.asLogged {
                spend.add(
                    request.tenant, llmTokens: result[.llmTokens].low,
                    money: plan.spendTable.map { result[cost: $0].low } ?? 0)
            }
            if !result.isReplayable { affected.insert(index) }
            unpriced |= result.unpriced
            sums.all[index].add(result, isJudged: replay.verdict != nil)
            if isPaired { sums.paired[index].add(result, isJudged: true) }
            ClusterColumn.add(result, leaf: index, replay.verdict != nil, isPaired, plan, &clusters, place)
        }
        met.add(unpriced, of: request, plan.tables)
        return mask(affected)
    }

    /// The policies whose results depend on the order of requests.
    ///
    /// - Parameter onBudget: told the policies, by their places, whose budgets refuse or degrade the request.
    package mutating func addOrdered(
        _ request: LoggedRequest, onBudget: (UInt64, BudgetAnswer) -> Void = { _, _ in }
    ) throws(SimulationError) -> UInt64 {
        guard isSelected(request) else { return 0 }
        if let before = order[request.tenant], before >= request.id {
            throw SimulationError(
                .data, "request_id",
                "\(request.id) comes behind \(before): budgets are used in the order of arrival, which is that of ids. "
                    + "Sort the lines, and give each file once")
        }
        order[request.tenant] = request.id
        let replay = try prepared(request)
        let group = try group(request)
        let place = plan.scenario.replicates > 0 ? clusters.place(clusterHash(request)) : nil
        var sums = groups.removeValue(forKey: group) ?? emptyGroup
        defer { groups[group] = sums }
        var affected: Set<Int> = []
        var unpriced: UInt64 = 0
        for index in plan.leaves.indices {
            guard let result = try budgets[index]?.add(replay) else { continue }
            if let answer = BudgetAnswer(result) { onBudget(mask([index]), answer) }
            if !result.isReplayable { affected.insert(index) }
            unpriced |= result.unpriced
            sums.all[index].add(result, isJudged: replay.verdict != nil)
            ClusterColumn.add(result, leaf: index, replay.verdict != nil, false, plan, &clusters, place)
        }
        met.add(unpriced, of: request, plan.tables)
        return mask(affected)
    }

    private mutating func prepared(_ request: LoggedRequest) throws(SimulationError) -> RequestReplay {
        let verdict = try verdict(of: request)
        return RequestReplay(request, verdict: verdict, limits: plan.scenario.relay, tables: plan.tables)
    }

    var emptyGroup: GroupSums { GroupSums(leaves: plan.leaves.count, costModels: plan.tables.count) }
}
