internal import Accounting

/// What had been used of a budget at fixed points of one of its windows.
///
/// Only points behind which something was asked of the budget are kept: at most 24 in an hour (2.5 minutes apart), 24
/// in a day (an hour apart) and 31 in a month (a day apart). A budget without windows begins with hours; each time that
/// there are more than `limit` points, they move twice as far apart.
struct BurnDown: Equatable {
    struct Point: Equatable {
        /// Which point, counted in `unit` from the window's start, from 1.
        var place: Int64
        private var low: Int64
        private var high: Int64

        init(place: Int64, used: Extent) {
            self.place = place
            (low, high) = (Int64(clamping: used.low), Int64(clamping: used.high))
        }

        /// LLM tokens, in 64 bits, where no upper end is the largest number.
        var used: Extent {
            get { Extent(Int128(low), Int128(high)) }
            set { (low, high) = (Int64(clamping: newValue.low), Int64(clamping: newValue.high)) }
        }
    }

    /// Of a budget without windows.
    static let limit = 48

    /// Microseconds between two points.
    private(set) var unit: Int64
    private(set) var points: [Point] = []

    init(_ window: BudgetRule.Window) {
        unit =
            switch window {
            case .hour: 150_000_000
            case .day, .total: 3_600_000_000
            case .month: 86_400_000_000
            }
    }

    /// Notes what is used in all after a request.
    ///
    /// - Parameter offset: microseconds from the window's start. One that is before an earlier one counts as that.
    mutating func note(_ used: Extent, at offset: Int64) {
        let place = max(BurnDown.place(offset, unit), points.last?.place ?? Int64.min)
        if let last = points.last, last.place == place {
            points[points.count - 1].used = used
            return
        }
        points.append(Point(place: place, used: used))
        while points.count > BurnDown.limit { widen() }
    }

    /// Forgets the points.
    mutating func clear() { points = [] }

    /// The first point behind a moment.
    private static func place(_ offset: Int64, _ unit: Int64) -> Int64 {
        let (quotient, rest) = offset.quotientAndRemainder(dividingBy: unit)
        return rest < 0 ? quotient : quotient + 1
    }

    private mutating func widen() {
        unit *= 2
        var wide: [Point] = []
        for point in points {
            // The first point that is no nearer: half of it, rounded up.
            let place = (point.place + 1) >> 1
            if let last = wide.last, last.place == place {
                wide[wide.count - 1].used = point.used
            } else {
                wide.append(Point(place: place, used: point.used))
            }
        }
        points = wide
    }

    func encode(_ writer: inout PartialWriter) {
        writer.put(Int128(unit))
        writer.put(points.count)
        for point in points {
            for value in [Int128(point.place), point.used.low, point.used.high] { writer.put(value) }
        }
    }

    init(_ reader: inout PartialReader) throws(SimulationError) {
        unit = Int64(try reader.int())
        let count = try reader.count()
        guard unit > 0, unit < 1 << 60, count <= BurnDown.limit else { throw PartialReader.damaged }
        for _ in 0..<count {
            let place = Int64(try reader.int())
            guard place.magnitude <= UInt64(1 << 60) / unit.magnitude else { throw PartialReader.damaged }
            points.append(Point(place: place, used: Extent(try reader.number(), try reader.number())))
        }
    }
}

extension BudgetRule.Window {
    /// The first microsecond behind the window that starts here; nil for one that never ends.
    func end(from start: Int64) -> Int64? {
        switch self {
        case .hour: start + 3_600_000_000
        case .day: start + 86_400_000_000
        case .month: self.start(of: Timestamp(microseconds: start + 32 * 86_400_000_000))
        case .total: nil
        }
    }
}
