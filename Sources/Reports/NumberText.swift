internal import Simulator

/// Numbers of a report in digits: rounded for readers, as exact as decimals can be for programs.
enum NumberText {
    /// For a reader: grouped by thousands, with the column's decimals or the unit's usual ones.
    static func shown(_ number: Number, _ unit: Unit, decimals: Int?) -> String {
        if unit == .score { return Number.plain(number.double) }
        let places = decimals ?? usualDecimals(number, unit)
        return grouped(text(number, unit, decimals: places))
    }

    /// For a program: no groups, zeros at the end cut; 12 decimals, and 15 of dollars, where it does not end before.
    /// Scores have as many digits as it takes to read the same number back.
    static func precise(_ number: Number, _ unit: Unit) -> String {
        if unit == .score { return Number.plain(number.double) }
        return trimmed(text(number, unit, decimals: unit == .picoDollars ? 15 : 12))
    }

    /// Numerator and denominator where decimals cannot say the number exactly: "1/3". Nil where they can.
    static func fraction(_ number: Number, _ unit: Unit) -> String? {
        guard unit != .score, case .ratio(let numerator, let denominator) = number, denominator > 0 else { return nil }
        let divisor = commonDivisor(numerator.magnitude, denominator.magnitude)
        let reduced = denominator.magnitude / divisor
        var rest = reduced
        var places = unit == .picoDollars ? 12 : 0
        // A decimal ends where its denominator has no other prime factors than 2 and 5.
        let (twos, fives) = (power(of: 2, in: &rest), power(of: 5, in: &rest))
        places += max(twos, fives)
        if rest == 1, places <= (unit == .picoDollars ? 15 : 12) { return nil }
        let sign = numerator < 0 ? "-" : ""
        let top = "\(sign)\(numerator.magnitude / divisor)"
        return unit == .picoDollars ? "\(top)/\(reduced)e12" : "\(top)/\(reduced)"
    }

    /// What a unit is called where it is printed: money is printed in dollars.
    static func name(_ unit: Unit) -> String {
        switch unit {
        case .picoDollars: "dollars"
        case .percentagePoints: "percentage_points"
        case .billionParameters: "billion_parameters"
        default: unit.rawValue
        }
    }

    private static func text(_ number: Number, _ unit: Unit, decimals: Int) -> String {
        Decimals.text(unit == .picoDollars ? inDollars(number) : number, decimals: decimals)
    }

    private static func inDollars(_ number: Number) -> Number {
        let pico: Int128 = 1_000_000_000_000
        switch number {
        case .whole(let value): return .ratio(value, pico)
        case .ratio(let numerator, let denominator):
            let (product, overflow) = denominator.multipliedReportingOverflow(by: pico)
            return overflow ? .real(number.double / 1e12) : .ratio(numerator, product)
        case .real(let value): return .real(value / 1e12)
        }
    }

    private static func usualDecimals(_ number: Number, _ unit: Unit) -> Int {
        switch unit {
        case .requests, .calls, .tokens, .milliseconds:
            if case .whole = number { return 0 }
            return 2
        case .picoDollars: return 6
        case .percentagePoints, .billionParameters: return 2
        case .share, .ratio, .score:
            if case .whole = number { return 0 }
            return 4
        }
    }

    static func grouped(_ text: String) -> String {
        let sign = text.hasPrefix("-") ? "-" : ""
        let digits = text.dropFirst(sign.count).prefix { $0 != "." }
        guard digits.count > 3, digits.allSatisfy(\.isNumber) else { return text }
        var groups = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index).isMultiple(of: 3) { groups.append(",") }
            groups.append(digit)
        }
        return sign + groups + text.dropFirst(sign.count + digits.count)
    }

    private static func trimmed(_ text: String) -> String {
        guard text.contains(".") else { return text }
        var cut = text[...]
        while cut.last == "0" { cut = cut.dropLast() }
        if cut.last == "." { cut = cut.dropLast() }
        return String(cut)
    }

    private static func commonDivisor(_ first: UInt128, _ second: UInt128) -> UInt128 {
        var (larger, smaller) = (first, second)
        while smaller > 0 { (larger, smaller) = (smaller, larger % smaller) }
        return max(1, larger)
    }

    private static func power(of prime: UInt128, in number: inout UInt128) -> Int {
        var count = 0
        while number > 1, number.isMultiple(of: prime) {
            number /= prime
            count += 1
        }
        return count
    }
}
