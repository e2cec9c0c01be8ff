/// Reads and writes durations and byte counts the way operators type them: `30s`, `250ms`, `5m`, `4MiB`.
package enum Quantity {
    /// Reads a duration: a whole number directly followed by `ms`, `s`, `m`, `h` or `d`.
    ///
    /// - Returns: nil when the text is not a duration or does not fit 64 bits of milliseconds.
    package static func duration(_ text: some StringProtocol) -> Duration? {
        guard let milliseconds = scaled(text, units: durationUnits) else { return nil }
        return .milliseconds(milliseconds)
    }

    /// Reads a byte count: a whole number directly followed by `B`, `KiB`, `MiB` or `GiB`.
    ///
    /// - Returns: nil when the text is not a byte count or does not fit `Int`.
    package static func bytes(_ text: some StringProtocol) -> Int? {
        scaled(text, units: byteUnits).flatMap(Int.init(exactly:))
    }

    /// Writes a duration with the largest unit that divides it, so `duration(text(d)) == d` to the millisecond.
    package static func text(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1000)
        let milliseconds = overflow ? Int64.max : whole + attoseconds / 1_000_000_000_000_000
        return described(milliseconds, units: durationUnits)
    }

    /// Writes a byte count with the largest unit that divides it.
    package static func text(bytes: Int) -> String {
        described(Int64(bytes), units: byteUnits)
    }

    private typealias Unit = (suffix: String, factor: Int64)

    private static let durationUnits: [Unit] = [
        ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1),
    ]
    private static let byteUnits: [Unit] = [
        ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1),
    ]

    private static func scaled(_ text: some StringProtocol, units: [Unit]) -> Int64? {
        let digits = text.utf8.prefix { (0x30...0x39).contains($0) }
        let suffix = text.utf8.dropFirst(digits.count)
        guard !digits.isEmpty, let unit = units.first(where: { $0.suffix.utf8.elementsEqual(suffix) })
        else {
            return nil
        }
        var value: Int64 = 0
        for digit in digits {
            let (tens, tensOverflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, sumOverflow) = tens.addingReportingOverflow(Int64(digit - 0x30))
            guard !tensOverflow, !sumOverflow else { return nil }
            value = sum
        }
        let (product, overflow) = value.multipliedReportingOverflow(by: unit.factor)
        return overflow ? nil : product
    }

    private static func described(_ value: Int64, units: [Unit]) -> String {
        // Zero is divided by every unit; the smallest is taken, because "0d" would read oddly.
        let fitting = units.first { value != 0 && value % $0.factor == 0 } ?? units[units.count - 1]
        return "\(value / fitting.factor)\(fitting.suffix)"
    }
}
