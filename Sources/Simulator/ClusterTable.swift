/// Sums by cluster, which intervals are drawn from, in constant memory.
///
/// Up to `limit` clusters are kept apart. When there are more, they fall into `limit` random groups by their hashes,
/// and a group counts as a cluster: requests of one cluster stay together, so groups are as independent of each other
/// as clusters are, and with 4,096 of them the width of an interval is itself known to about 1 %. Whether they fall is
/// decided by how many clusters the whole has, so neither order nor parts are seen in the result.
struct ClusterTable: Equatable {
    static let limit = 4096

    /// Numbers of one cluster.
    let width: Int
    private(set) var isFolded = false
    /// By the hash of the cluster's name, or by its group.
    private var places: [UInt64: Int] = [:]
    private var values: [Int128] = []

    init(width: Int) { self.width = width }

    var count: Int { places.count }

    /// Each cluster's hash, or group, and numbers, in the order of the hashes.
    var entries: [(key: UInt64, values: ArraySlice<Int128>)] {
        places.sorted { $0.key < $1.key }.map { ($0.key, values[$0.value * width..<($0.value + 1) * width]) }
    }

    var rows: [ArraySlice<Int128>] { entries.map(\.values) }

    /// The place of a cluster's numbers, for `add`. Valid until the next call.
    mutating func place(_ hash: UInt64) -> Int {
        let key = isFolded ? ClusterTable.group(hash) : hash
        if let place = places[key] { return place }
        if !isFolded, places.count == ClusterTable.limit {
            fold()
            return place(hash)
        }
        let place = places.count
        places[key] = place
        values.append(contentsOf: repeatElement(0, count: width))
        return place
    }

    mutating func add(_ value: Int128, at column: Int, place: Int) { values[place * width + column] += value }

    mutating func merge(_ other: ClusterTable) {
        if other.isFolded, !isFolded { fold() }
        for (key, place) in other.places.sorted(by: { $0.key < $1.key }) {
            // A group's number is not a hash; it is its own group.
            let own = other.isFolded ? self.place(group: key) : self.place(key)
            for column in 0..<width { values[own * width + column] += other.values[place * width + column] }
        }
    }

    private mutating func place(group: UInt64) -> Int {
        if let place = places[group] { return place }
        let place = places.count
        places[group] = place
        values.append(contentsOf: repeatElement(0, count: width))
        return place
    }

    /// The upper bits of a hash that mixes well.
    private static func group(_ hash: UInt64) -> UInt64 { hash >> 52 }

    private mutating func fold() {
        let old = self
        self = ClusterTable(width: width)
        isFolded = true
        for (hash, place) in old.places {
            let own = self.place(group: ClusterTable.group(hash))
            for column in 0..<width { values[own * width + column] += old.values[place * width + column] }
        }
    }

    func encode(_ writer: inout PartialWriter) {
        writer.put(isFolded ? 1 : 0)
        writer.put(places.count)
        for (key, values) in entries {
            writer.put(key)
            for value in values { writer.put(value) }
        }
    }

    init(_ reader: inout PartialReader, width: Int) throws(SimulationError) {
        self.init(width: width)
        isFolded = try reader.int() == 1
        let count = try reader.count()
        guard count <= ClusterTable.limit else { throw PartialReader.damaged }
        for place in 0..<count {
            let key = try reader.word()
            guard places.updateValue(place, forKey: key) == nil else { throw PartialReader.damaged }
            for _ in 0..<width { values.append(try reader.number()) }
        }
    }

    /// By content: the places are an accident of order.
    static func == (left: ClusterTable, right: ClusterTable) -> Bool {
        left.isFolded == right.isFolded && left.places.keys.sorted() == right.places.keys.sorted()
            && left.rows.elementsEqual(right.rows)
    }
}

/// A hash of a name that is the same on every machine: FNV-1a over its bytes, then the mixing of SplitMix64.
func stableHash(_ text: String) -> UInt64 {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    return mixed(hash)
}

func mixed(_ word: UInt64) -> UInt64 {
    var hash = word
    hash = (hash ^ (hash >> 30)) &* 0xBF58_476D_1CE4_E5B9
    hash = (hash ^ (hash >> 27)) &* 0x94D0_49BB_1331_11EB
    return hash ^ (hash >> 31)
}
