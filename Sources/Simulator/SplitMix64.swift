/// SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014): all randomness of
/// the simulator. It is ten lines in any language, so that every drawn number can be checked elsewhere.
///
/// Seed 1234567 gives 6457827717110365317, 3203168211198807973, 9817491932198370423, …
package struct SplitMix64: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(seed: UInt64) { state = seed }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// A whole number from 0 up to but not including `count`: the upper 64 bits of the product of a draw and `count`.
    ///
    /// One draw each, without rejection: the bias is below `count` / 2^64. Zero when `count` is not positive.
    package mutating func index(below count: Int) -> Int {
        Int(next().multipliedFullWidth(by: UInt64(max(0, count))).high)
    }

    /// A number from 0 up to but not including 1: the upper 53 bits of a draw over 2^53.
    package mutating func unit() -> Double {
        Double(next() >> 11) * 0x1p-53
    }
}
