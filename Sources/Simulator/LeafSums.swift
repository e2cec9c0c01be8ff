/// Sums over requests under one policy. Only whole numbers, so that neither the order nor the number of parts is seen.
struct LeafSums: Equatable {
    var requests = 0
    /// Requests of which everything follows from the log.
    var replayable = 0
    /// Requests with a verdict.
    var judged = 0
    /// By `Quantity`, then the cost models.
    var low: [Int128]
    /// Without what has no upper end.
    var high: [Int128]
    /// Requests without an upper end.
    var open: [Int]
    /// Requests without a price or a count, by cost model.
    var unpriced: [Int]

    init(costModels: Int) {
        let width = Quantity.allCases.count + costModels
        low = Array(repeating: 0, count: width)
        high = low
        open = Array(repeating: 0, count: width)
        unpriced = Array(repeating: 0, count: costModels)
    }

    mutating func add(_ request: ReplayedRequest, isJudged: Bool) {
        requests += 1
        if request.isReplayable { replayable += 1 }
        if isJudged { judged += 1 }
        for index in low.indices {
            let value = request.values[index]
            low[index] += value.low
            if value.isOpen { open[index] += 1 } else { high[index] += value.high }
        }
        if request.unpriced != 0 {
            for index in unpriced.indices where request.unpriced >> UInt64(index) & 1 != 0 { unpriced[index] += 1 }
        }
    }

    mutating func merge(_ other: LeafSums) {
        requests += other.requests
        replayable += other.replayable
        judged += other.judged
        for index in low.indices {
            low[index] += other.low[index]
            high[index] += other.high[index]
            open[index] += other.open[index]
        }
        for index in unpriced.indices { unpriced[index] += other.unpriced[index] }
    }

    func encode(_ writer: inout PartialWriter) {
        for value in [requests, replayable, judged] { writer.put(value) }
        writer.put(low)
        writer.put(high)
        writer.put((open + unpriced).map { Int128($0) })
    }

    init(_ reader: inout PartialReader, costModels: Int) throws(SimulationError) {
        self.init(costModels: costModels)
        requests = try reader.int()
        replayable = try reader.int()
        judged = try reader.int()
        low = try reader.numbers(low.count)
        high = try reader.numbers(high.count)
        for (index, value) in try reader.numbers(open.count + unpriced.count).enumerated() {
            guard let count = Int(exactly: value) else { throw PartialReader.damaged }
            if index < open.count { open[index] = count } else { unpriced[index - open.count] = count }
        }
    }
}

/// The sums of one group under every leaf: of all requests, and of those whose answers by either model alone are known.
struct GroupSums: Equatable {
    var all: [LeafSums]
    var paired: [LeafSums]

    init(leaves: Int, costModels: Int) {
        all = Array(repeating: LeafSums(costModels: costModels), count: leaves)
        paired = all
    }

    /// Whether the answers of both models alone are known of a request with a verdict.
    var hasPairs: Bool { paired[ReplayPlan.slmOnly].requests > 0 }

    mutating func merge(_ other: GroupSums) {
        for index in all.indices {
            all[index].merge(other.all[index])
            paired[index].merge(other.paired[index])
        }
    }

    func encode(_ writer: inout PartialWriter) {
        for sums in all + paired { sums.encode(&writer) }
    }

    init(_ reader: inout PartialReader, leaves: Int, costModels: Int) throws(SimulationError) {
        self.init(leaves: leaves, costModels: costModels)
        for index in 0..<leaves { all[index] = try LeafSums(&reader, costModels: costModels) }
        for index in 0..<leaves { paired[index] = try LeafSums(&reader, costModels: costModels) }
    }
}
