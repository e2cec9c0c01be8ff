internal import Accounting

/// Parts: merged, written and read.
///
/// A partial begins with `RGSIM` and a version, then the SHA-256 of the scenario, then the sums, then the SHA-256 of
/// all before it. Equal contents are equal bytes, however they came about.
extension TraceSimulation {
    private static let mark = Array("RGSIM".utf8)
    private static let version: UInt8 = 9

    /// Adds the sums of another part of the same trace under the same scenario.
    ///
    /// - Throws: `SimulationError` with code `partial` when the scenarios differ or both hold a tenant's budgets.
    package mutating func merge(_ other: TraceSimulation) throws(SimulationError) {
        guard plan.scenario == other.plan.scenario else { throw TraceSimulation.otherScenario }
        for index in budgets.indices {
            if let theirs = other.budgets[index] { try budgets[index]?.merge(theirs) }
        }
        seen += other.seen
        outside += other.outside
        unscored += other.unscored
        paired += other.paired
        judged += other.judged
        measuredSLM.merge(other.measuredSLM)
        measuredLLM.merge(other.measuredLLM)
        first = [first, other.first].compactMap { $0 }.min()
        last = [last, other.last].compactMap { $0 }.max()
        met.merge(other.met)
        sources.formUnion(other.sources)
        try checkSources()
        log.merge(other.log)
        exploration.merge(other.exploration)
        spend.merge(other.spend)
        for index in scoreTables.indices { scoreTables[index].merge(other.scoreTables[index]) }
        for (name, sums) in other.groups {
            var own = groups.removeValue(forKey: name) ?? emptyGroup
            own.merge(sums)
            groups[name] = own
        }
        guard groups.count <= TraceSimulation.groupLimit else {
            throw SimulationError(.scenario, "group_by", "has more than \(TraceSimulation.groupLimit) values")
        }
        clusters.merge(other.clusters)
    }

    private static var otherScenario: SimulationError {
        SimulationError(.partial, nil, "belongs to another scenario: merge parts of one scenario only")
    }

    private static func scenarioDigest(_ scenario: Scenario) -> [UInt8] {
        SHA256.digest(Array(String(describing: scenario).utf8))
    }

    /// The part as bytes.
    package func encode() -> [UInt8] {
        var writer = PartialWriter()
        for value in [seen, outside, unscored, paired, judged, first == nil ? 0 : 1] { writer.put(value) }
        measuredSLM.encode(&writer)
        measuredLLM.encode(&writer)
        writer.put(Int128(first?.microseconds ?? 0))
        writer.put(Int128(last?.microseconds ?? 0))
        writer.put(sources.count)
        for name in sources.sorted() { writer.put(name) }
        met.encode(&writer)
        log.encode(&writer)
        exploration.encode(&writer)
        spend.encode(&writer)
        for table in scoreTables { table.encode(&writer) }
        writer.put(groups.count)
        for (name, sums) in groups.sorted(by: { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }) {
            writer.put(name)
            sums.encode(&writer)
        }
        clusters.encode(&writer)
        for budget in budgets { budget?.encode(&writer) }
        let body =
            TraceSimulation.mark + [TraceSimulation.version] + TraceSimulation.scenarioDigest(plan.scenario)
            + writer.bytes
        return body + SHA256.digest(body)
    }

    /// Reads a part.
    ///
    /// - Throws: `SimulationError` with code `partial` when it is damaged, of another version or another scenario.
    package static func decode(_ bytes: [UInt8], scenario: Scenario) throws(SimulationError) -> TraceSimulation {
        let head = mark.count + 1 + 32
        guard bytes.starts(with: mark) else {
            throw SimulationError(.partial, nil, "is no partial result of a simulation")
        }
        guard bytes.count > mark.count, bytes[mark.count] == version else {
            throw SimulationError(.partial, nil, "was written by another version: run the shard again")
        }
        let end = bytes.count - 32
        guard end >= head, SHA256.digest(Array(bytes[..<end])) == Array(bytes[end...]) else {
            throw PartialReader.damaged
        }
        guard Array(bytes[(mark.count + 1)..<head]) == scenarioDigest(scenario) else { throw otherScenario }
        var reader = PartialReader(bytes, from: head, to: end)
        var simulation = try TraceSimulation(scenario)
        try simulation.take(&reader)
        guard reader.isAtEnd else { throw PartialReader.damaged }
        return simulation
    }

    private mutating func take(_ reader: inout PartialReader) throws(SimulationError) {
        seen = try reader.int()
        outside = try reader.int()
        unscored = try reader.int()
        paired = try reader.int()
        judged = try reader.int()
        let hasTimes = try reader.int() == 1
        measuredSLM = try SecondMeasurements(&reader)
        measuredLLM = try SecondMeasurements(&reader)
        let moments = (Int64(try reader.int()), Int64(try reader.int()))
        if hasTimes {
            first = Timestamp(microseconds: moments.0)
            last = Timestamp(microseconds: moments.1)
        }
        for _ in 0..<(try reader.count()) { sources.insert(try reader.text()) }
        met = try NamesMet(&reader, costModels: plan.tables.count)
        log = try LogSums(&reader)
        try exploration.take(&reader)
        spend = try TenantSpend(&reader)
        for index in scoreTables.indices { scoreTables[index] = try ScoreTable(&reader) }
        for _ in 0..<(try reader.count()) {
            let name = try reader.text()
            groups[name] = try GroupSums(&reader, leaves: plan.leaves.count, costModels: plan.tables.count)
        }
        clusters = try ClusterTable(&reader, width: TraceSimulation.clusterWidth(plan))
        for index in budgets.indices {
            guard let rules = budgets[index]?.rules else { continue }
            budgets[index] = try BudgetReplay(&reader, rules: rules)
        }
    }
}
