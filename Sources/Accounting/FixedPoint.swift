/// Whole numbers of a small unit as decimals, exactly.
package enum FixedPoint {
    /// `text(1_500_000, places: 6)` is `1.500000`, and `1.50` with `atLeast: 2`.
    ///
    /// - Parameters:
    ///   - places: how many of the last digits stand behind the point; at least 1.
    ///   - atLeast: how many stay there although they are zeros; all of them by default.
    package static func text(_ number: Int128, places: Int, atLeast: Int? = nil) -> String {
        let digits = String(number.magnitude)
        let filled = String(repeating: "0", count: max(0, places + 1 - digits.utf8.count)) + digits
        var fraction = filled.suffix(places)
        while fraction.utf8.count > atLeast ?? places, fraction.last == "0" { fraction = fraction.dropLast() }
        return (number < 0 ? "-" : "") + filled.dropLast(places) + "." + fraction
    }
}
