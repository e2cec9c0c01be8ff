/// Why a text is no amount of money.
package enum MoneyError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Not digits with at most one point between them.
    case notDecimal
    /// More digits behind the point than are exact; holds how many may be there.
    case tooManyDecimals(limit: Int)
    /// More than 64 bits of pico-dollars.
    case tooLarge

    /// Completes "--input: …".
    package var description: String {
        switch self {
        case .notDecimal: "must be dollars in digits, such as 2.50 or 0.15"
        case .tooManyDecimals(let limit): "has more than \(limit) decimals, which would not be exact"
        case .tooLarge: "is too large"
        }
    }
}

/// Exact arithmetic with dollars, which are kept as integers of pico-dollars (10^-12 $).
package enum Money {
    /// Digits behind the point of a price for a million tokens: 10^-6 $ for them are 1 pico-dollar for one.
    package static let perMillionDecimals = 6
    /// Digits behind the point of a dollar.
    package static let dollarDecimals = 12

    /// Pico-dollars for one token from a price in dollars for a million: "2.50" is 2,500,000.
    ///
    /// Throws `MoneyError`: signs, exponents, commas and spaces are not decimal.
    package static func pico(perMillion text: String) throws(MoneyError) -> Int {
        try units(text, decimals: perMillionDecimals)
    }

    /// Pico-dollars from dollars: "0.01" is 10,000,000,000. Throws `MoneyError` as above.
    package static func pico(dollars text: String) throws(MoneyError) -> Int {
        try units(text, decimals: dollarDecimals)
    }

    /// Pico-dollars as dollars, exact: at least two decimals, and further ones as far as they are not zeros.
    package static func dollars(pico: some BinaryInteger) -> String {
        FixedPoint.text(Int128(clamping: pico), places: dollarDecimals, atLeast: 2)
    }

    /// The same with all twelve decimals, so that amounts stand below one another and programs find one form.
    package static func fixedDollars(pico: some BinaryInteger) -> String {
        FixedPoint.text(Int128(clamping: pico), places: dollarDecimals)
    }

    /// Dollars from a whole number in decimal digits, as PostgreSQL's `numeric` writes sums that may exceed 64 bits.
    /// Nil when the text is not that, or exceeds 128 bits.
    package static func dollars(picoDigits text: String) -> String? {
        guard text.utf8.first != UInt8(ascii: "+"), let pico = Int128(text) else { return nil }
        return dollars(pico: pico)
    }

    /// Pico-dollars for one token as dollars for a million, exact: 2,500,000 is "2.50".
    package static func perMillion(pico: Int) -> String {
        FixedPoint.text(Int128(pico), places: perMillionDecimals, atLeast: 2)
    }

    /// The same with all six decimals: 2,500,000 is "2.500000".
    package static func fixedPerMillion(pico: Int) -> String {
        FixedPoint.text(Int128(pico), places: perMillionDecimals)
    }

    /// The number of units of which 10^decimals make one.
    private static func units(_ text: String, decimals: Int) throws(MoneyError) -> Int {
        let parts = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count <= 2, parts.allSatisfy({ !$0.isEmpty && $0.allSatisfy(isDigit) }) else {
            throw .notDecimal
        }
        let fraction = parts.count == 2 ? Array(parts[1]) : []
        guard fraction.count <= decimals else { throw .tooManyDecimals(limit: decimals) }
        let zeros = repeatElement(UInt8(ascii: "0"), count: decimals - fraction.count)
        var value = 0
        for digit in Array(parts[0]) + fraction + zeros {
            let (tens, tensOverflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, sumOverflow) = tens.addingReportingOverflow(Int(digit - UInt8(ascii: "0")))
            guard !tensOverflow, !sumOverflow else { throw .tooLarge }
            value = sum
        }
        return value
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
}
