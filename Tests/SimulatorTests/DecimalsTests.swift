import Foundation
import Testing

@testable import Simulator

@Suite struct DecimalsTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let numerator: Int128
        let denominator: Int128
        let decimals: Int
        let text: String
        var testDescription: String { "\(numerator)/\(denominator) to \(decimals)" }
    }

    @Test(arguments: [
        // 295.77 / 6 = 49.295: the paper's tie.
        Case(numerator: 29577, denominator: 600, decimals: 2, text: "49.30"),
        Case(numerator: -29577, denominator: 600, decimals: 2, text: "-49.30"),
        Case(numerator: 29577, denominator: -600, decimals: 3, text: "-49.295"),
        Case(numerator: 0, denominator: 7, decimals: 3, text: "0.000"),
        Case(numerator: -1, denominator: 1000, decimals: 2, text: "0.00"),
        Case(numerator: 1, denominator: 3, decimals: 0, text: "0"),
        Case(numerator: 1, denominator: 2, decimals: 0, text: "1"),
        Case(numerator: 999, denominator: 1000, decimals: 2, text: "1.00"),
        Case(numerator: 5, denominator: 0, decimals: 2, text: "inf"),
        Case(numerator: -5, denominator: 0, decimals: 2, text: "-inf"),
        Case(numerator: 0, denominator: 0, decimals: 2, text: "nan"),
        // (2^127 - 1) / 2^127 in size: the remainder times ten leaves 128 bits. 1 - 2^-127 rounds to 1.
        Case(numerator: .max, denominator: .min, decimals: 20, text: "-1.00000000000000000000"),
        // 2/3 of the largest: 0.666…7.
        Case(numerator: .max / 3 * 2, denominator: .max / 3 * 3, decimals: 12, text: "0.666666666667"),
    ])
    func `a ratio is divided out and half goes away from zero`(_ example: Case) {
        let text = Decimals.text(
            numerator: example.numerator, denominator: example.denominator, decimals: example.decimals)
        #expect(text == example.text)
    }

    @Test func `a floating-point number has the digits of its exact value`() {
        #expect(Decimals.text(.real(0.125), decimals: 2) == "0.13")
        #expect(Decimals.text(.real(-0.125), decimals: 2) == "-0.13")
        // 0.1 = 3602879701896397 / 2^55.
        #expect(
            Decimals.text(.real(0.1), decimals: 55)
                == "0.1000000000000000055511151231257827021181583404541015625")
        // The nearest binary fractions: 1.005 lies below the half, 1.015 below, 0.375 on it.
        #expect(Decimals.text(.real(1.005), decimals: 2) == "1.00")
        #expect(Decimals.text(.real(0.375), decimals: 2) == "0.38")
        #expect(Decimals.text(.real(0x1p70), decimals: 1) == "1180591620717411303424.0")
        #expect(Decimals.text(.real(-0.0), decimals: 1) == "0.0")
        #expect(Decimals.text(.real(-0.04), decimals: 1) == "0.0")
        #expect(Decimals.text(.real(99.96), decimals: 1) == "100.0")
        #expect(Decimals.text(.real(.leastNonzeroMagnitude), decimals: 3) == "0.000")
        #expect(Decimals.text(.real(.nan), decimals: 3) == "nan")
        #expect(Decimals.text(.real(-.infinity), decimals: 3) == "-inf")
    }

    /// A C library's printf expands exactly too, and only differs on ties; random numbers have none.
    @Test func `floating-point numbers print as printf does`() {
        var generator = SplitMix64(seed: 20_260_108)
        for _ in 0..<2_000 {
            let value = Double.random(in: -1e6...1e6, using: &generator) * Double.random(in: 0...1, using: &generator)
            let decimals = Int.random(in: 1...12, using: &generator)
            let expected = String(format: "%.\(decimals)f", value)
            let zeros = expected.allSatisfy { "-0.".contains($0) }
            let text = zeros ? expected.filter { $0 != "-" } : expected
            #expect(Decimals.text(.real(value), decimals: decimals) == text, "\(value) to \(decimals)")
        }
    }

    @Test func `decimal text is read as a ratio by a power of ten`() {
        #expect(Decimals.number("49.30") == .ratio(4930, 100))
        #expect(Decimals.number("-0.5") == .ratio(-5, 10))
        #expect(Decimals.number("12") == .whole(12))
        for text in ["", ".", "1.", ".5", "1.2.3", "1e3", "+1", "١", "--1", String(repeating: "1", count: 31)] {
            #expect(Decimals.number(text) == nil, "\(text)")
        }
    }
}
