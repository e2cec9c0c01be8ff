import Configuration
import Testing

@Suite struct YAMLTests {
    @Test(
        "What is not YAML, or not allowed, is one problem with its line",
        arguments: [
            ("listen: {port: 1\n", "f.yaml:2:1: not valid YAML: "),
            ("listen:\n  port: 1\n bad: 2\n", "f.yaml:3:"),
            ("a: b: c\n", "f.yaml:1:5: not valid YAML: invalid nested block mapping on the same line"),
            ("a: \"x\n", "f.yaml:1:5: not valid YAML: "),
            ("a: *nope\n", "f.yaml:1:5: *nope refers to no anchor before it"),
            ("a: &x [*x]\n", "f.yaml:1:9: *x refers to no anchor before it"),
            ("a: !!str 5\n", "f.yaml:1:10: YAML tags (!name) are not used here, remove it"),
            ("a: 1\n---\nb: 2\n", "f.yaml:1:4: a second document (after ---) is not allowed"),
            ("<<: 5\n", "f.yaml:1:5: << takes a section or a list of sections"),
            ("a: 1\nb: \u{1}\n", "f.yaml:2:4: control characters are not allowed"),
            ("a: \0", "f.yaml:1:4: control characters are not allowed"),
        ])
    func syntax(_ text: String, _ expected: String) {
        let found = problems(of: text)
        #expect(found.count == 1)
        #expect(found.first?.hasPrefix(expected) == true, "\(found)")
    }

    @Test("Aliases that expand to too much are refused, quickly")
    func expansion() {
        // Nine levels of nine aliases are 9^9 nodes, about 387 million.
        var text = "a0: &a0 [x]\n"
        for level in 1...9 {
            let aliases = Array(repeating: "*a\(level - 1)", count: 9).joined(separator: ", ")
            text += "a\(level): &a\(level) [\(aliases)]\n"
        }
        #expect(problems(of: text).count == 1)
        #expect(problems(of: text).first?.contains("expand to too much") == true)
    }

    @Test("Deep nesting is refused", arguments: ["[", "{a: "])
    func depth(_ opening: String) {
        let found = problems(of: "a: " + String(repeating: opening, count: 40))
        #expect(found.count == 1)
    }

    @Test("A file that is too long is refused")
    func length() {
        #expect(
            problems(of: "# " + String(repeating: "x", count: 1 << 20)) == [
                "f.yaml:1:1: the file is longer than 1048576 bytes"
            ])
    }

    @Test("Columns are counted in characters")
    func columns() {
        let found = problems(of: smallestFile + "log: {\"größe\": 1, lvl: 2}\n")
        #expect(found.map { String($0.prefix(14)) } == ["f.yaml:6:7: lo", "f.yaml:6:19: l"])
    }

    @Test("Damaged files never trap: each is loaded or refused with at least one problem")
    func damaged() {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("YAMLTests.damaged seed \(seed)")
        var generator = SplitMix(state: seed)
        let original = Array(GatewayConfiguration.example.utf8)
        let material = Array("{}[]:,-#&*!|>'\"%@`\n \t?<é0~".utf8)
        var refused = 0
        for _ in 0..<400 {
            var bytes = original
            for _ in 0..<Int.random(in: 1...6, using: &generator) {
                let place = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0..<4, using: &generator) {
                case 0: bytes[place] = material[Int.random(in: 0..<material.count, using: &generator)]
                case 1:
                    bytes.insert(material[Int.random(in: 0..<material.count, using: &generator)], at: place)
                case 2: bytes.remove(at: place)
                default: bytes.removeSubrange(place..<min(bytes.count, place + 200))
                }
            }
            if !problems(of: String(decoding: bytes, as: UTF8.self)).isEmpty { refused += 1 }
        }
        // Most damage hits a comment or a blank; some of it must hit something else.
        #expect(refused > 40)
    }
}

/// A small seeded generator (Steele and others, "Fast splittable pseudorandom number generators", 2014).
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
