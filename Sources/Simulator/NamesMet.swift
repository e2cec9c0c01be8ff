/// Names of the scenario that selected requests have, and names of models that have no price. Parts can be merged in
/// any order.
struct NamesMet: Equatable {
    /// Names of models that are kept: those that a report shows and one more, which says that there are others.
    private static let modelLimit = 4

    /// Of the tenants and policies that the scenario selects, those that have a selected request.
    private(set) var tenants: Set<String> = []
    private(set) var policies: Set<String> = []
    /// Whether a selected request has the tag that groups are made by, and that which clusters are.
    private(set) var hasGroup = false
    private(set) var hasCluster = false
    /// Whether a selected request has a verdict of the source that is believed.
    private(set) var hasVerdictSource = false
    /// Of the tags that thresholds ask for: those that a selected request has, and those that hold a number there.
    private(set) var tags: Set<String> = []
    private(set) var scores: Set<String> = []
    /// Of the models that prices name, and of the tenants that budgets name, those that a selected request has.
    private(set) var pricedModels: Set<String> = []
    private(set) var budgetTenants: Set<String> = []
    /// By cost model: the first names, in their order, of models without a price in requests that could not be priced.
    private var unpriced: [Set<String>]

    init(costModels: Int) { unpriced = Array(repeating: [], count: costModels) }

    mutating func add(_ request: LoggedRequest, _ plan: ReplayPlan) {
        let scenario = plan.scenario
        if pricedModels.count < plan.pricedModels.count {
            for segment in request.segments where plan.pricedModels.contains(segment.model) {
                pricedModels.insert(segment.model)
            }
        }
        if plan.budgetTenants.contains(request.tenant) { budgetTenants.insert(request.tenant) }
        if !scenario.selection.tenants.isEmpty { tenants.insert(request.tenant) }
        if !scenario.selection.policies.isEmpty { policies.insert(request.policy) }
        if !hasGroup, let tag = scenario.groupTag { hasGroup = request.tag(tag) != nil }
        if !hasCluster, case .tag(let tag) = scenario.cluster { hasCluster = request.tag(tag) != nil }
        if !hasVerdictSource, let source = scenario.verdictSource {
            hasVerdictSource = request.verdicts.contains { $0.source == source }
        }
    }

    /// - Parameter found: the scores that thresholds ask for; nil where the request has no number.
    mutating func add(_ found: [String: Double?], of request: LoggedRequest) {
        guard scores.count < found.count else { return }
        for (name, score) in found where !scores.contains(name) {
            if score != nil { scores.insert(name) }
            if request.tag(name) != nil { tags.insert(name) }
        }
    }

    /// Notes which models have no price.
    ///
    /// - Parameter unpriced: cost models under which some policy could not be priced, by their bits.
    mutating func add(_ unpriced: UInt64, of request: LoggedRequest, _ tables: [CostTable]) {
        guard unpriced != 0 else { return }
        for (index, table) in tables.enumerated() where unpriced >> UInt64(index) & 1 != 0 {
            for name in table.unpricedModels(request) { insert(name, index) }
        }
    }

    private mutating func insert(_ name: String, _ index: Int) {
        unpriced[index].insert(name)
        if unpriced[index].count > NamesMet.modelLimit, let last = unpriced[index].max() {
            unpriced[index].remove(last)
        }
    }

    /// Models without a price under a cost model, for a message; empty when all have one.
    func unpricedModels(_ index: Int) -> String {
        let names = unpriced[index].sorted()
        let shown = names.prefix(NamesMet.modelLimit - 1).joined(separator: ", ")
        return names.count < NamesMet.modelLimit ? shown : shown + " and others"
    }

    // MARK: Parts

    mutating func merge(_ other: NamesMet) {
        tenants.formUnion(other.tenants)
        policies.formUnion(other.policies)
        tags.formUnion(other.tags)
        scores.formUnion(other.scores)
        pricedModels.formUnion(other.pricedModels)
        budgetTenants.formUnion(other.budgetTenants)
        hasGroup = hasGroup || other.hasGroup
        hasCluster = hasCluster || other.hasCluster
        hasVerdictSource = hasVerdictSource || other.hasVerdictSource
        for (index, names) in other.unpriced.enumerated() {
            for name in names { insert(name, index) }
        }
    }

    func encode(_ writer: inout PartialWriter) {
        for flag in [hasGroup, hasCluster, hasVerdictSource] { writer.put(flag ? 1 : 0) }
        for names in [tenants, policies, tags, scores, pricedModels, budgetTenants] + unpriced {
            writer.put(names.count)
            for name in names.sorted() { writer.put(name) }
        }
    }

    init(_ reader: inout PartialReader, costModels: Int) throws(SimulationError) {
        self.init(costModels: costModels)
        hasGroup = try reader.int() == 1
        hasCluster = try reader.int() == 1
        hasVerdictSource = try reader.int() == 1
        for _ in 0..<(try reader.count()) { tenants.insert(try reader.text()) }
        for _ in 0..<(try reader.count()) { policies.insert(try reader.text()) }
        for _ in 0..<(try reader.count()) { tags.insert(try reader.text()) }
        for _ in 0..<(try reader.count()) { scores.insert(try reader.text()) }
        for _ in 0..<(try reader.count()) { pricedModels.insert(try reader.text()) }
        for _ in 0..<(try reader.count()) { budgetTenants.insert(try reader.text()) }
        for index in unpriced.indices {
            for _ in 0..<(try reader.count()) { insert(try reader.text(), index) }
        }
    }
}

extension Counterfactual {
    /// Those that have a budget of their own.
    var budgetTenants: [String] {
        switch self {
        case .budgets(let rules): rules.compactMap(\.tenant)
        case .timeShared(let first, let second, _): first.budgetTenants + second.budgetTenants
        default: []
        }
    }
}

extension Scenario {
    /// The tag that the report is split by; nil where it is split by tenant, by model or not at all.
    var groupTag: String? { groupBy == "tenant" || groupBy == "model" ? nil : groupBy }
}

extension CostTable {
    /// Models of a request without a price; when all have one, `slm` or `llm` if the request names no model in that
    /// role and none is priced for it.
    func unpricedModels(_ request: LoggedRequest) -> Set<String> {
        if isRecorded {
            return Set(request.segments.filter { $0.costPico == nil && !$0.finish.isRefused }.map(\.model))
        }
        var names = Set(
            request.segments.filter { rates($0.role, model: $0.model, at: request.arrived) == nil }.map(\.model))
        guard names.isEmpty else { return names }
        for (role, word) in [(LoggedSegment.Role.slm, "slm"), (.llm, "llm")]
        where !request.segments.contains(where: { $0.role == role }) {
            if rates(role, model: nil, at: request.arrived) == nil { names.insert(word) }
        }
        return names
    }
}
