internal import Simulator

/// An axis: from values to places on the page, with ticks at round numbers.
struct PlotScale: Equatable {
    let low: Double
    let high: Double
    /// Distance of the ticks: 1, 2 or 5 times a power of ten.
    let step: Double
    /// Where `low` and `high` are drawn.
    let start: Double
    let end: Double

    /// - Parameters:
    ///   - values: what has to fit; those that are no numbers are left out.
    ///   - includesZero: whether the axis begins at zero although nothing is there, as bars need it.
    ///   - count: about how many ticks.
    init(_ values: [Double], includesZero: Bool, count: Int, start: Double, end: Double) {
        let finite = values.filter(\.isFinite)
        var low = finite.min() ?? 0
        var high = finite.max() ?? 1
        // An axis that nearly reaches zero says more when it does.
        if includesZero || (low > 0 && low < high * 0.35) { low = min(0, low) }
        if includesZero { high = max(0, high) }
        if low == high { (low, high) = low == 0 ? (0, 1) : (low - abs(low) * 0.1, high + abs(high) * 0.1) }
        let step = PlotScale.step((high - low) / Double(max(2, count)))
        self.step = step
        self.low = (low / step + 1e-9).rounded(.down) * step
        self.high = (high / step - 1e-9).rounded(.up) * step
        self.start = start
        self.end = end
    }

    /// The same axis drawn between other places.
    init(_ other: PlotScale, start: Double, end: Double) {
        (low, high, step) = (other.low, other.high, other.step)
        (self.start, self.end) = (start, end)
    }

    /// Where a value is drawn; beyond the axis at its end.
    func place(_ value: Double) -> Double {
        guard !value.isNaN else { return start }
        let share = (min(max(value, low), high) - low) / (high - low)
        return start + share * (end - start)
    }

    var ticks: [Double] {
        let count = min(64, max(1, Int(((high - low) / step).rounded())))
        return (0...count).map { low + Double($0) * step }
    }

    /// A tick's number with as many decimals as the step needs.
    func label(_ tick: Double) -> String {
        var decimals = 0
        var scaled = step
        while decimals < 9, abs(scaled - scaled.rounded()) > 1e-6 * abs(scaled) {
            scaled *= 10
            decimals += 1
        }
        return NumberText.grouped(Decimals.text(.real(tick), decimals: decimals))
    }

    private static func step(_ rough: Double) -> Double {
        var power = 1.0
        // Both loops end: a finite positive number is within some 300 powers of ten of one.
        while power * 10 <= rough { power *= 10 }
        while power > rough, power > 1e-300 { power /= 10 }
        for factor in [1.0, 2, 5, 10] where power * factor >= rough * 0.999 { return power * factor }
        return power * 10
    }
}
