internal import Accounting

/// What a simulation reads of one request.
extension TraceSimulation {
    func isSelected(_ request: LoggedRequest) -> Bool {
        let selection = plan.scenario.selection
        if let from = selection.from, request.arrived < from { return false }
        if let to = selection.to, request.arrived >= to { return false }
        if !selection.tenants.isEmpty, !selection.tenants.contains(request.tenant) { return false }
        if !selection.policies.isEmpty, !selection.policies.contains(request.policy) { return false }
        return selection.tags.allSatisfy { tag in request.tag(tag.key) == tag.value }
    }

    /// The mean of the verdicts of its answers, to the millionth; nil when one has none.
    mutating func verdict(of request: LoggedRequest) throws(SimulationError) -> Int? {
        let wanted = plan.scenario.verdictSource
        var sum = 0
        var judged: Set<Int> = []
        for verdict in request.verdicts {
            if let wanted, verdict.source != wanted { continue }
            if wanted == nil, !sources.contains(verdict.source) {
                sources.insert(verdict.source)
                try checkSources()
            }
            if judged.insert(verdict.choice).inserted { sum += verdict.verdict }
        }
        guard !judged.isEmpty, judged.count == request.choices else { return nil }
        return (sum + request.choices / 2) / request.choices
    }

    func checkSources() throws(SimulationError) {
        guard sources.count > 1 else { return }
        throw SimulationError(
            .scenario, "verdict_source",
            "is not given, and the trace has verdicts of several sources: \(sources.sorted().joined(separator: ", "))")
    }

    func group(_ request: LoggedRequest) throws(SimulationError) -> String {
        guard let name = plan.scenario.groupBy else { return "" }
        let group =
            switch name {
            case "tenant": request.tenant
            case "model": request.model
            default: request.tag(name) ?? "(none)"
            }
        if groups[group] == nil, groups.count >= TraceSimulation.groupLimit {
            throw SimulationError(
                .scenario, "group_by",
                "\(name) has more than \(TraceSimulation.groupLimit) values: choose another tag")
        }
        return group
    }

    /// Numbers of a cluster: its columns and, last, its requests.
    static func clusterWidth(_ plan: ReplayPlan) -> Int { ClusterColumn.width(plan) + 1 }

    /// Of the requests, in the largest cluster or, where there are too many to keep apart, the largest group of them;
    /// nil where no intervals are drawn.
    var largestCluster: Number? {
        clusters.rows.compactMap(\.last).max().flatMap { Number.quotient($0, Int128(seen - outside)) }
    }

    func clusterHash(_ request: LoggedRequest) -> UInt64 {
        switch plan.scenario.cluster {
        case .request: mixed(request.id.high &+ mixed(request.id.low))
        case .tenant: stableHash(request.tenant)
        case .tag(let key):
            request.tag(key).map(stableHash) ?? mixed(request.id.high &+ mixed(request.id.low))
        }
    }

    /// The scores that thresholds ask for; nil where a request has none, or no number.
    func scores(of request: LoggedRequest) -> [String: Double?] {
        var scores: [String: Double?] = [:]
        for name in plan.scores {
            scores[name] = .some(request.tag(name).flatMap { Decimals.double($0) })
        }
        return scores
    }

    /// The policies that need one of these leaves, by their places in the scenario.
    func mask(_ leaves: Set<Int>) -> UInt64 {
        guard !leaves.isEmpty else { return 0 }
        var mask: UInt64 = 0
        for (index, needed) in plan.needs.enumerated() where !leaves.isDisjoint(with: needed) {
            mask |= 1 << UInt64(index)
        }
        return mask
    }

    /// Whether a request belongs to shard `index` of `count`, from 0: by its tenant where budgets need the order of
    /// each tenant's requests, else by its id.
    package func isInShard(_ request: LoggedRequest, _ index: Int, of count: Int) -> Bool {
        guard count > 1 else { return true }
        let hash = isOrdered ? stableHash(request.tenant) : mixed(request.id.high &+ mixed(request.id.low))
        return hash % UInt64(count) == UInt64(max(0, index))
    }
}
