/// Arithmetic that stays exact as long as 128 bits hold it, and goes on in floating point where they do not.
extension Number {
    /// A ratio in lowest terms, whole where it is; nil when the denominator is zero.
    package static func quotient(_ numerator: Int128, _ denominator: Int128) -> Number? {
        guard denominator != 0 else { return nil }
        let divisor = greatestCommonDivisor(numerator.magnitude, denominator.magnitude)
        guard let top = Int128(exactly: numerator.magnitude / divisor),
            let bottom = Int128(exactly: denominator.magnitude / divisor)
        else { return .real(Double(numerator) / Double(denominator)) }
        let signed = (numerator < 0) == (denominator < 0) ? top : -top
        return bottom == 1 ? .whole(signed) : .ratio(signed, bottom)
    }

    package static func quotient(_ numerator: Int, _ denominator: Int) -> Number? {
        quotient(Int128(numerator), Int128(denominator))
    }

    package static let zero = Number.whole(0)
    package static let one = Number.whole(1)

    /// Numerator and positive denominator in lowest terms; nil for floating point.
    package var fraction: (numerator: Int128, denominator: Int128)? {
        switch self {
        case .whole(let value): (value, 1)
        case .ratio(let numerator, let denominator):
            switch Number.quotient(numerator, denominator) {
            case .whole(let value): (value, 1)
            case .ratio(let top, let bottom): (top, bottom)
            case .real, nil: nil
            }
        case .real: nil
        }
    }

    package static func + (left: Number, right: Number) -> Number {
        combined(left, right, exact: { $0.addingReportingOverflow($1) }, real: +)
    }

    package static func - (left: Number, right: Number) -> Number {
        combined(left, right, exact: { $0.subtractingReportingOverflow($1) }, real: -)
    }

    package static func * (left: Number, right: Number) -> Number {
        let product = Number.real(left.double * right.double)
        guard let first = left.fraction, let second = right.fraction,
            let crossed = quotient(first.numerator, second.denominator)?.fraction,
            let other = quotient(second.numerator, first.denominator)?.fraction
        else { return product }
        let (top, topOverflow) = crossed.numerator.multipliedReportingOverflow(by: other.numerator)
        let (bottom, bottomOverflow) = crossed.denominator.multipliedReportingOverflow(by: other.denominator)
        guard !topOverflow, !bottomOverflow else { return product }
        return quotient(top, bottom) ?? product
    }

    /// Nil when the divisor is zero.
    package func divided(by divisor: Number) -> Number? {
        guard divisor.double != 0 else { return nil }
        guard let fraction = divisor.fraction,
            let inverse = Number.quotient(fraction.denominator, fraction.numerator)
        else { return .real(double / divisor.double) }
        return self * inverse
    }

    /// -1, 0 or 1: the sign of the difference, exact where the numbers are. Nil where one is NaN.
    package func compared(to other: Number) -> Int? {
        let difference = self - other
        if let fraction = difference.fraction { return Int(fraction.numerator.signum()) }
        let real = difference.double
        return real < 0 ? -1 : real > 0 ? 1 : real == 0 ? 0 : nil
    }

    package static func < (left: Number, right: Number) -> Bool { left.compared(to: right) == -1 }
    package static func > (left: Number, right: Number) -> Bool { left.compared(to: right) == 1 }
    package static func <= (left: Number, right: Number) -> Bool { left < right || left.compared(to: right) == 0 }
    package static func >= (left: Number, right: Number) -> Bool { left > right || left.compared(to: right) == 0 }

    /// In lowest terms, which is how arithmetic leaves numbers.
    package var reduced: Number { self + .zero }

    /// The square root, in floating point; zero for what is not positive.
    package var squareRoot: Number { .real(max(0, double).squareRoot()) }

    /// The largest whole number that is not above it; nil beyond 64 bits.
    package var floor: Int? {
        guard let fraction else { return Int(exactly: double.rounded(.down)) }
        let (quotient, rest) = fraction.numerator.quotientAndRemainder(dividingBy: fraction.denominator)
        return Int(exactly: rest < 0 ? quotient - 1 : quotient)
    }

    package static func sum(_ numbers: some Sequence<Number>) -> Number { numbers.reduce(.zero, +) }

    /// Nil when there are none.
    package static func mean(_ numbers: some Collection<Number>) -> Number? {
        sum(numbers).divided(by: .whole(Int128(numbers.count)))
    }

    private static func combined(
        _ left: Number, _ right: Number, exact: (Int128, Int128) -> (partialValue: Int128, overflow: Bool),
        real: (Double, Double) -> Double
    ) -> Number {
        let inexact = Number.real(real(left.double, right.double))
        guard let first = left.fraction, let second = right.fraction else { return inexact }
        // Over the least common denominator, so that sums of many shares of one total stay small.
        let divisor = Int128(
            truncatingIfNeeded: greatestCommonDivisor(first.denominator.magnitude, second.denominator.magnitude))
        let widening = second.denominator / divisor
        let (a, aOverflow) = first.numerator.multipliedReportingOverflow(by: widening)
        let (b, bOverflow) = second.numerator.multipliedReportingOverflow(by: first.denominator / divisor)
        let (denominator, overflow) = first.denominator.multipliedReportingOverflow(by: widening)
        guard !aOverflow, !bOverflow, !overflow else { return inexact }
        let (numerator, sumOverflow) = exact(a, b)
        return sumOverflow ? inexact : quotient(numerator, denominator) ?? inexact
    }

    private static func greatestCommonDivisor(_ first: UInt128, _ second: UInt128) -> UInt128 {
        var (a, b) = (first, second)
        while b != 0 { (a, b) = (b, a % b) }
        return max(a, 1)
    }
}
