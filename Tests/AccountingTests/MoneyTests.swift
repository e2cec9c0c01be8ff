import Accounting
import Testing

@Suite struct MoneyTests {
    @Test(arguments: [
        // Dollars for 10^6 tokens, in units of 10^-12 $ for one: times 10^12 / 10^6.
        ("2.50", 2_500_000), ("0.15", 150_000), ("10", 10_000_000), ("0", 0), ("0.000001", 1), ("3.125", 3_125_000),
        ("1000000", 1_000_000_000_000), ("0.100000", 100_000), ("007.5", 7_500_000),
        // 2^63 - 1 = 9,223,372,036,854,775,807.
        ("9223372036854.775807", Int.max),
    ])
    func `a price for a million tokens is whole pico-dollars for one`(text: String, pico: Int) throws {
        #expect(try Money.pico(perMillion: text) == pico)
    }

    @Test(arguments: [
        ("0.01", 10_000_000_000), ("1", 1_000_000_000_000), ("0.000000000001", 1), ("0", 0),
        ("9223372.036854775807", Int.max),
    ])
    func `dollars are whole pico-dollars`(text: String, pico: Int) throws {
        #expect(try Money.pico(dollars: text) == pico)
    }

    @Test(arguments: [
        "", "1e5", "1,5", "-1", "+1", ".5", "2.", ".", "1.2.3", " 1", "1 ", "$1", "0x10", "1_000", "٣", "１", "nan",
        "Infinity", "1.-5", "1.5\u{0}", "1.5\n",
    ])
    func `what is not digits with a point between them is no money`(text: String) {
        #expect(throws: MoneyError.notDecimal) { try Money.pico(perMillion: text) }
        #expect(throws: MoneyError.notDecimal) { try Money.pico(dollars: text) }
    }

    @Test func `decimals that would be lost are refused, zeros too`() {
        for text in ["0.0000001", "2.5000000", "1.1234567"] {
            #expect(throws: MoneyError.tooManyDecimals(limit: 6)) { try Money.pico(perMillion: text) }
        }
        #expect(throws: MoneyError.tooManyDecimals(limit: 12)) { try Money.pico(dollars: "0.0000000000001") }
        #expect(MoneyError.tooManyDecimals(limit: 6).description.contains("more than 6 decimals"))
    }

    @Test func `what 64 bits do not hold is refused`() {
        // One more than 2^63 - 1 units, and digits without end.
        #expect(throws: MoneyError.tooLarge) { try Money.pico(perMillion: "9223372036854.775808") }
        #expect(throws: MoneyError.tooLarge) { try Money.pico(dollars: "9223372.036854775808") }
        #expect(throws: MoneyError.tooLarge) {
            try Money.pico(perMillion: String(repeating: "9", count: 10_000))
        }
    }

    @Test(arguments: [
        (123_456_789, "0.000123456789"), (0, "0.00"), (1, "0.000000000001"), (1_000_000_000_000, "1.00"),
        (2_500_000_000_000, "2.50"), (1_234_567_100_000_000_000, "1234567.10"), (-500_000_000_000, "-0.50"),
        (-1, "-0.000000000001"), (Int.max, "9223372.036854775807"), (Int.min, "-9223372.036854775808"),
        (10_000_000_000, "0.01"), (1_000_000_000, "0.001"),
    ])
    func `pico-dollars are written as exact dollars`(pico: Int, text: String) {
        #expect(Money.dollars(pico: pico) == text)
        #expect(Money.dollars(picoDigits: String(pico)) == text)
    }

    @Test(arguments: [
        // 10^18 - 1 dollars and 999,999,999,999 pico-dollars: thirty nines.
        (String(repeating: "9", count: 30), "999999999999999999.999999999999"),
        ("-123456789012345678901234", "-123456789012.345678901234"), ("000", "0.00"), ("-0", "0.00"),
        ("0001500000000000", "1.50"),
    ])
    func `sums beyond 64 bits are written from their digits`(digits: String, text: String) {
        #expect(Money.dollars(picoDigits: digits) == text)
    }

    @Test func `amounts that stand below one another have all decimals`() {
        // 10^12 pico-dollars are a dollar, 10^6 for one token a dollar for a million of them.
        #expect(Money.fixedDollars(pico: 18_772_500_000) == "0.018772500000")
        #expect(Money.fixedDollars(pico: -1) == "-0.000000000001")
        #expect(Money.fixedDollars(pico: Int128.max) == "170141183460469231731687303.715884105727")
        #expect(Money.fixedPerMillion(pico: 2_500_000) == "2.500000")
        #expect(FixedPoint.text(750, places: 1) == "75.0")
        #expect(FixedPoint.text(1_500_000, places: 6, atLeast: 2) == "1.50")
    }

    @Test(arguments: ["", "-", "1.0", "1e5", "NaN", " 1", "--1", "+1", "٣", "1_000"])
    func `what is no whole number is not written`(text: String) {
        #expect(Money.dollars(picoDigits: text) == nil)
    }

    @Test func `what is written is read as the same`() throws {
        var random = SystemRandomNumberGenerator()
        let seed = UInt64.random(in: .min ... .max, using: &random)
        var state = seed
        for shift in 0..<4000 {
            // The multiplier and increment of Knuth's MMIX generator; the shift makes numbers of every length.
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let pico = Int(state >> (1 + UInt64(shift % 63)))
            #expect(try Money.pico(dollars: Money.dollars(pico: pico)) == pico, "seed \(seed)")
            #expect(try Money.pico(perMillion: Money.perMillion(pico: pico)) == pico, "seed \(seed)")
        }
        #expect(Money.perMillion(pico: 3_125_000) == "3.125")
        #expect(Money.perMillion(pico: 2_500_000) == "2.50")
        #expect(Money.perMillion(pico: 0) == "0.00")
    }
}
