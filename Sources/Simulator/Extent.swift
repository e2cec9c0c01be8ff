/// What a number can be for one request: from `low` to `high`, or to no end that is known.
struct Extent: Equatable {
    /// Stands for no upper end. Counts stay far below it.
    static let open = Int128(1) << 120

    var low: Int128
    var high: Int128

    init(_ low: Int128, _ high: Int128) {
        self.low = low
        self.high = high
    }

    init(_ value: Int128) { self.init(value, value) }

    init(_ value: Int) { self.init(Int128(value)) }

    static let zero = Extent(Int128(0))

    var isOpen: Bool { high >= Extent.open }
    var isExact: Bool { low == high }

    static func + (left: Extent, right: Extent) -> Extent {
        Extent(left.low + right.low, left.isOpen || right.isOpen ? open : left.high + right.high)
    }

    static func += (left: inout Extent, right: Extent) { left = left + right }

    /// Times a rate, which is not negative; nothing comes of no end at a rate of 0.
    static func * (left: Extent, rate: Int128) -> Extent {
        Extent(left.low * rate, rate == 0 ? 0 : left.isOpen ? open : left.high * rate)
    }
}
