/// What each tenant spends, in constant memory: whether one of them has most of it.
///
/// Tenants are kept apart, or fall into groups, as clusters do in `ClusterTable`. A group that has much of the spend
/// has a tenant that does.
struct TenantSpend: Equatable {
    /// Above this share one tenant decides what a total is.
    static let largestShare = Number.ratio(1, 5)

    /// Whether there are requests without a tenant; they are in no sum.
    private(set) var isPartial = false
    /// LLM tokens and money.
    private var sums = ClusterTable(width: 2)
    /// By the hash of a name; empty when tenants are in groups.
    private var names: [UInt64: String] = [:]

    init() {}

    var isFolded: Bool { sums.isFolded }

    mutating func add(_ tenant: String, llmTokens: Int128, money: Int128) {
        guard !tenant.isEmpty else {
            isPartial = true
            return
        }
        let hash = stableHash(tenant)
        let place = sums.place(hash)
        sums.add(llmTokens, at: 0, place: place)
        sums.add(money, at: 1, place: place)
        if sums.isFolded {
            names = [:]
        } else if names[hash] == nil {
            names[hash] = tenant
        }
    }

    /// The largest spender and its share; nil with fewer than two tenants or nothing spent.
    ///
    /// - Returns: no name where the tenants are in groups.
    func largest(isMoney: Bool) -> (name: String?, share: Number)? {
        let all = sums.entries.map { (key: $0.key, value: $0.values[$0.values.startIndex + (isMoney ? 1 : 0)]) }
        guard all.count > 1, let largest = all.max(by: { $0.value < $1.value }),
            let share = Number.quotient(largest.value, all.reduce(0) { $0 + $1.value })
        else { return nil }
        return (names[largest.key], share)
    }

    // MARK: Parts

    mutating func merge(_ other: TenantSpend) {
        isPartial = isPartial || other.isPartial
        sums.merge(other.sums)
        names = sums.isFolded ? [:] : names.merging(other.names) { own, _ in own }
    }

    func encode(_ writer: inout PartialWriter) {
        writer.put(isPartial ? 1 : 0)
        sums.encode(&writer)
        writer.put(names.count)
        for (hash, name) in names.sorted(by: { $0.key < $1.key }) {
            writer.put(hash)
            writer.put(name)
        }
    }

    init(_ reader: inout PartialReader) throws(SimulationError) {
        isPartial = try reader.int() == 1
        sums = try ClusterTable(&reader, width: 2)
        for _ in 0..<(try reader.count()) {
            let hash = try reader.word()
            names[hash] = try reader.text()
        }
        guard names.count == (sums.isFolded ? 0 : sums.count) else { throw PartialReader.damaged }
    }
}
