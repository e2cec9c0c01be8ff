/// What each tenant spends, in constant memory: whether one of them has most of it.
///
/// Up to `limit` tenants are kept apart. When there are more, they fall into `limit` random groups by the hashes of
/// their names; a group that has much of the spend then has a tenant that does. Neither order nor parts are seen.
struct TenantSpend: Equatable {
    static let limit = 4096
    /// Above this share one tenant decides what a total is.
    static let largestShare = Number.ratio(1, 5)

    private(set) var isFolded = false
    /// Whether there are requests without a tenant; they are in no sum.
    private(set) var isPartial = false
    /// LLM tokens and money, by name.
    private var named: [String: [Int128]] = [:]
    /// The same, by group.
    private var groups: [UInt64: [Int128]] = [:]

    init() {}

    mutating func add(_ tenant: String, llmTokens: Int128, money: Int128) {
        if tenant.isEmpty { isPartial = true } else { add(tenant, [llmTokens, money]) }
    }

    private mutating func add(_ tenant: String, _ values: [Int128]) {
        if isFolded { return add(group: stableHash(tenant) >> 52, values) }
        TenantSpend.add(values, to: &named[tenant, default: [0, 0]])
        if named.count > TenantSpend.limit { fold() }
    }

    private mutating func add(group: UInt64, _ values: [Int128]) {
        TenantSpend.add(values, to: &groups[group, default: [0, 0]])
    }

    private static func add(_ values: [Int128], to sums: inout [Int128]) {
        for (index, value) in values.enumerated() { sums[index] += value }
    }

    private mutating func fold() {
        let tenants = named
        named = [:]
        isFolded = true
        for (tenant, values) in tenants { add(tenant, values) }
    }

    /// The largest spender and its share; nil with fewer than two tenants or nothing spent.
    ///
    /// - Returns: no name where the tenants are in groups.
    func largest(isMoney: Bool) -> (name: String?, share: Number)? {
        let place = isMoney ? 1 : 0
        let all: [(name: String?, value: Int128)] =
            isFolded
            ? groups.values.map { (nil, $0[place]) } : named.map { ($0.key, $0.value[place]) }
        // Of equals the first by name, so that order is not seen.
        let largest = all.max { ($0.value, $1.name ?? "") < ($1.value, $0.name ?? "") }
        guard all.count > 1, let largest,
            let share = Number.quotient(largest.value, all.reduce(0) { $0 + $1.value })
        else { return nil }
        return (largest.name, share)
    }

    // MARK: Parts

    mutating func merge(_ other: TenantSpend) {
        isPartial = isPartial || other.isPartial
        if other.isFolded, !isFolded { fold() }
        for (tenant, values) in other.named { add(tenant, values) }
        for (group, values) in other.groups { add(group: group, values) }
    }

    func encode(_ writer: inout PartialWriter) {
        for flag in [isFolded, isPartial] { writer.put(flag ? 1 : 0) }
        writer.put(named.count)
        for (name, values) in named.sorted(by: { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }) {
            writer.put(name)
            for value in values { writer.put(value) }
        }
        writer.put(groups.count)
        for (group, values) in groups.sorted(by: { $0.key < $1.key }) {
            writer.put(group)
            for value in values { writer.put(value) }
        }
    }

    init(_ reader: inout PartialReader) throws(SimulationError) {
        isFolded = try reader.int() == 1
        isPartial = try reader.int() == 1
        for _ in 0..<(try reader.count()) {
            let name = try reader.text()
            named[name] = [try reader.number(), try reader.number()]
        }
        for _ in 0..<(try reader.count()) {
            let group = try reader.word()
            groups[group] = [try reader.number(), try reader.number()]
        }
        guard max(named.count, groups.count) <= TenantSpend.limit else { throw PartialReader.damaged }
    }
}
