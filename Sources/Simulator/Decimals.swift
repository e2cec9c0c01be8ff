/// Exact decimal text of numbers, half rounded away from zero: what every printed digit goes through.
///
/// Binary floating point prints 49.295 as 49.29 or 49.30 depending on the path; here the digits are divided out.
package enum Decimals {
    /// More decimals than this are cut to it, so that a caller's mistake cannot ask for endless text.
    package static let limit = 400

    /// A number with this many digits behind the point: 59150/1200 with two decimals is "49.29", 9859/200 "49.30".
    ///
    /// Infinities and NaN, and ratios by zero, are "inf", "-inf" and "nan". A zero has no sign.
    package static func text(_ number: Number, decimals: Int) -> String {
        switch number {
        case .whole(let value): text(numerator: value, denominator: 1, decimals: decimals)
        case .ratio(let numerator, let denominator):
            text(numerator: numerator, denominator: denominator, decimals: decimals)
        case .real(let value): text(value, decimals: decimals)
        }
    }

    /// A ratio of whole numbers by long division. The sign of the denominator counts.
    package static func text(numerator: Int128, denominator: Int128, decimals: Int) -> String {
        guard denominator != 0 else { return numerator == 0 ? "nan" : numerator > 0 ? "inf" : "-inf" }
        let divisor = denominator.magnitude
        var (whole, rest) = numerator.magnitude.quotientAndRemainder(dividingBy: divisor)
        var digits = [UInt8](String(whole).utf8)
        for _ in 0..<places(decimals) {
            (whole, rest) = tenfold(rest, dividedBy: divisor)
            digits.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: whole))
        }
        // Half or more: the rest is at least what is missing to the divisor.
        if rest >= divisor - rest { increment(&digits) }
        let isNegative = (numerator < 0) != (denominator < 0)
        return laidOut(digits, isNegative: isNegative, decimals: places(decimals))
    }

    /// A floating-point number by the digits of its exact value: 0.125 with two decimals is "0.13", 49.295 is "49.30"
    /// or "49.29" according to which side of the half the nearest binary fraction lies.
    package static func text(_ value: Double, decimals: Int) -> String {
        guard value.isFinite else { return value.isNaN ? "nan" : value < 0 ? "-inf" : "inf" }
        guard value != 0 else { return laidOut([UInt8(ascii: "0")], scale: 0, isNegative: false, decimals: decimals) }
        // value = significand · 2^shift with a whole significand.
        let shift = Int(value.exponent) - Double.significandBitCount
        let significand = UInt64((value.magnitude.significand * 0x1p52).rounded(.towardZero))
        var digits = String(significand).utf8.map { $0 - UInt8(ascii: "0") }
        // 2^-1 is 5 · 10^-1: each halving is a multiplication by five and one more place.
        for _ in 0..<abs(shift) { multiply(&digits, by: shift < 0 ? 5 : 2) }
        return laidOut(
            digits.map { $0 + UInt8(ascii: "0") }, scale: max(0, -shift), isNegative: value < 0, decimals: decimals)
    }

    /// A decimal text, such as "-49.52", as a ratio by a power of ten. Nil when it is none or has over 30 digits.
    package static func number(_ text: some StringProtocol) -> Number? {
        let isNegative = text.utf8.first == UInt8(ascii: "-")
        let parts = text.utf8.dropFirst(isNegative ? 1 : 0)
            .split(separator: UInt8(ascii: "."), maxSplits: 2, omittingEmptySubsequences: false)
        let digits = parts.joined()
        guard (1...2).contains(parts.count), parts.allSatisfy({ !$0.isEmpty }), digits.count <= 30,
            digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) })
        else { return nil }
        let value = digits.reduce(Int128(0)) { $0 * 10 + Int128($1 - UInt8(ascii: "0")) }
        let signed = isNegative ? -value : value
        guard parts.count == 2 else { return .whole(signed) }
        return .ratio(signed, (0..<parts[1].count).reduce(Int128(1)) { power, _ in power * 10 })
    }

    /// A finite number in decimal notation: "-0.5", "67", "1e-21". Nil for what else floating-point numbers are read from:
    /// hexadecimal ("0x10" is a name rather than 16), "inf" and "nan".
    package static func double(_ text: some StringProtocol) -> Double? {
        guard text.utf8.allSatisfy({ "+-.0123456789Ee".utf8.contains($0) }), let value = Double(text), value.isFinite
        else { return nil }
        return value == 0 ? 0 : value
    }

    private static func places(_ decimals: Int) -> Int { min(max(0, decimals), limit) }

    /// Ten times the rest by the divisor, without leaving 128 bits: ten additions that are reduced one by one.
    private static func tenfold(_ rest: UInt128, dividedBy divisor: UInt128) -> (UInt128, UInt128) {
        let (product, overflow) = rest.multipliedReportingOverflow(by: 10)
        guard overflow else { return product.quotientAndRemainder(dividingBy: divisor) }
        var quotient: UInt128 = 0
        var sum: UInt128 = 0
        for _ in 0..<10 {
            if sum >= divisor - rest {
                sum -= divisor - rest
                quotient += 1
            } else {
                sum += rest
            }
        }
        return (quotient, sum)
    }

    private static func multiply(_ digits: inout [UInt8], by factor: UInt8) {
        var carry: UInt8 = 0
        for place in digits.indices.reversed() {
            let product = digits[place] * factor + carry
            digits[place] = product % 10
            carry = product / 10
        }
        if carry > 0 { digits.insert(carry, at: 0) }
    }

    /// Adds one in the last place of decimal digits.
    private static func increment(_ digits: inout [UInt8]) {
        for place in digits.indices.reversed() {
            guard digits[place] == UInt8(ascii: "9") else {
                digits[place] += 1
                return
            }
            digits[place] = UInt8(ascii: "0")
        }
        digits.insert(UInt8(ascii: "1"), at: 0)
    }

    /// Rounds digits of which the last `scale` stand behind the point, and lays them out.
    private static func laidOut(_ digits: [UInt8], scale: Int, isNegative: Bool, decimals: Int) -> String {
        var kept = repeatElement(UInt8(ascii: "0"), count: max(0, scale + 1 - digits.count)) + digits
        let places = places(decimals)
        if scale <= places {
            kept += repeatElement(UInt8(ascii: "0"), count: places - scale)
        } else {
            let dropped = kept.suffix(scale - places)
            let isUp = (dropped.first ?? 0) >= UInt8(ascii: "5")
            kept.removeLast(scale - places)
            if isUp { increment(&kept) }
        }
        return laidOut(kept, isNegative: isNegative, decimals: places)
    }

    private static func laidOut(_ digits: [UInt8], isNegative: Bool, decimals: Int) -> String {
        let isZero = digits.allSatisfy { $0 == UInt8(ascii: "0") }
        let whole = digits.dropLast(decimals)
        let sign = isNegative && !isZero ? "-" : ""
        let text = sign + String(decoding: whole.isEmpty ? [UInt8(ascii: "0")] : Array(whole), as: UTF8.self)
        return decimals == 0 ? text : text + "." + String(decoding: digits.suffix(decimals), as: UTF8.self)
    }
}
