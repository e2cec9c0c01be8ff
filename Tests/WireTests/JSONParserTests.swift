import Testing

@testable import Wire

@Suite("JSON parser")
struct JSONParserTests {
    struct Malformed: Sendable, CustomTestStringConvertible {
        let name: String
        let bytes: [UInt8]
        var testDescription: String { name }
        init(_ name: String, _ text: String) { (self.name, bytes) = (name, [UInt8](text.utf8)) }
        init(_ name: String, bytes: [UInt8]) { (self.name, self.bytes) = (name, bytes) }
    }

    static let malformed: [Malformed] = [
        Malformed("empty", ""), Malformed("white space", " \n\t\r"), Malformed("scalar root", "1"),
        Malformed("string root", "\"a\""), Malformed("byte order mark", "\u{FEFF}{}"),
        Malformed("comma after the last element", "[1,]"), Malformed("comma after the last member", #"{"a":1,}"#),
        Malformed("comma first", "[,1]"), Malformed("two commas", "[1,,2]"),
        Malformed("missing comma", "[1 2]"), Malformed("missing member comma", #"{"a":1 "b":2}"#),
        Malformed("missing colon", #"{"a" 1}"#),
        Malformed("two colons", #"{"a":"b":1}"#), Malformed("colon in an array", #"["a":1]"#),
        Malformed("two colons and an escape", #"{"a":"\n":1}"#), Malformed("colon after a number", #"{"a":1:2}"#),
        Malformed("colon after a container", #"{"a":{}:2}"#), Malformed("colon colon", #"{"a"::2}"#),
        Malformed("missing value", #"{"a":}"#),
        Malformed("key alone", #"{"a"}"#), Malformed("number as key", "{1:2}"), Malformed("bare key", "{a:1}"),
        Malformed("single quotes", "{'a':1}"), Malformed("unclosed array", "[1"),
        Malformed("unclosed object", #"{"a":1"#), Malformed("unclosed inner", "[[1]"),
        Malformed("closed too often", "[1]]"), Malformed("wrong bracket", "[1}"), Malformed("wrong brace", #"{"a":1]"#),
        Malformed("crossed", #"[{"a":1]}"#), Malformed("two documents", "{}{}"), Malformed("text behind", "{} x"),
        Malformed("comma behind", "[1],"), Malformed("unclosed string", "[\"a]"),
        Malformed("letters after a string", "[\"a\"x]"), Malformed("string after a number", "[1\"a\"]"),
        Malformed("letters after a key", #"{"a"x:1}"#), Malformed("tru", "[tru]"), Malformed("truex", "[truex]"),
        Malformed("nul", "[nul]"), Malformed("True", "[True]"), Malformed("NaN", "[NaN]"),
        Malformed("Infinity", "[Infinity]"), Malformed("-Infinity", "[-Infinity]"), Malformed("leading zero", "[01]"),
        Malformed("plus", "[+1]"), Malformed("point first", "[.5]"), Malformed("point last", "[1.]"),
        Malformed("minus alone", "[-]"), Malformed("empty exponent", "[1e]"), Malformed("signed empty", "[1e+]"),
        Malformed("hexadecimal", "[0x1F]"), Malformed("two points", "[1.2.3]"), Malformed("comment", "[1/*x*/]"),
        Malformed("bad escape", #"["\x"]"#), Malformed("short unicode escape", #"["\u12"]"#),
        Malformed("lone high surrogate", #"["\ud800"]"#), Malformed("lone low surrogate", #"["\udc00"]"#),
        Malformed("bad escape in key", #"{"\x":1}"#), Malformed("line feed in a string", "[\"a\nb\"]"),
        Malformed("control character in a string", "[\"a\u{01}b\"]"),
        Malformed("NUL in a string", bytes: [0x5B, 0x22, 0x00, 0x22, 0x5D]),
        Malformed("NUL behind", bytes: [0x5B, 0x5D, 0x00]),
        Malformed("invalid UTF-8", bytes: [0x5B, 0x22, 0xFF, 0x22, 0x5D]),
        Malformed("overlong UTF-8", bytes: [0x5B, 0x22, 0xC0, 0xAF, 0x22, 0x5D]),
        Malformed("surrogate in UTF-8", bytes: [0x5B, 0x22, 0xED, 0xA0, 0x80, 0x22, 0x5D]),
        Malformed("cut UTF-8", bytes: [0x5B, 0x22, 0xE2, 0x82, 0x22, 0x5D]),
        Malformed("level 65", String(repeating: "[", count: 65) + String(repeating: "]", count: 65)),
        Malformed("a million brackets", String(repeating: "[", count: 1_000_000)),
        Malformed("a million braces", String(repeating: "{\"a\":", count: 200_000)),
    ]

    @Test("A malformed document is refused with a 400 and leaves the parser usable", arguments: malformed)
    func refuses(_ document: Malformed) throws {
        var parser = JSONParser()
        let error = #expect(throws: WireError.self) { try parser.read(document.bytes) { _ in } }
        #expect(error?.code == .invalidJSON)
        #expect(error?.status == 400)
        let count = try parser.read(utf8("[1,2]")) { $0.count }
        #expect(count == 2)
    }

    @Test("Every value is found with its type, its text and the bytes it was written in")
    func readsValues() throws {
        var parser = JSONParser()
        let text =
            #" { "a" : [ 1 , {"c d":"x\n\u00e9\ud83d\ude00"} ] , "k\u0041" : "é" , "#
            + #""n":null, "t":true, "f":false, "e":{} } "#
        try parser.read(utf8(text)) { (root) throws(WireError) in
            #expect(root.isObject && root.count == 6)
            #expect(root.raw == utf8(text.trimmingSpaces))
            #expect(root["a"]?.raw == utf8(#"[ 1 , {"c d":"x\n\u00e9\ud83d\ude00"} ]"#))
            #expect(root["a"]?[0]?.int == 1)
            #expect(root["a"]?[1]?["c d"]?.string == "x\né😀")
            #expect(root["a"]?[1]?["c d"]?.raw == utf8(#""x\n\u00e9\ud83d\ude00""#))
            #expect(root["a"]?[2] == nil && root["a"]?[-1] == nil)
            #expect(root["kA"]?.equals("é") == true)
            #expect(root["n"]?.isNull == true && root["t"]?.bool == true && root["f"]?.bool == false)
            #expect(root["e"]?.isObject == true && root["e"]?.count == 0)
            #expect(root["missing"] == nil)
            #expect(root.children.map(\.key) == ["a", "kA", "n", "t", "f", "e"])
        }
    }

    @Test("Duplicate keys are visible, and a lookup finds the first")
    func showsDuplicates() throws {
        var parser = JSONParser()
        try parser.read(utf8(#"{"a":1,"\u0061":2}"#)) { (root) throws(WireError) in
            #expect(root.children.map(\.key) == ["a", "a"])
            #expect(root["a"]?.int == 1)
        }
    }

    struct Number: Sendable, CustomTestStringConvertible {
        let text: String
        let int: Int?
        let double: Double?
        var testDescription: String { text }
    }

    @Test(
        "Only a number written as an integer that fits is an integer, and no number traps",
        arguments: [
            Number(text: "0", int: 0, double: 0), Number(text: "-0", int: 0, double: 0),
            Number(text: "1.0", int: 1, double: 1), Number(text: "1.5", int: nil, double: 1.5),
            Number(text: "-7", int: -7, double: -7), Number(text: "1e2", int: nil, double: 100),
            Number(text: "9007199254740993", int: 9_007_199_254_740_993, double: 9_007_199_254_740_992),
            Number(text: "9223372036854775807", int: Int.max, double: 9.223372036854775807e18),
            Number(text: "9223372036854775808", int: nil, double: 9.223372036854775808e18),
            Number(text: "-9223372036854775809", int: nil, double: -9.223372036854775808e18),
            Number(text: "18446744073709551616", int: nil, double: 1.8446744073709551616e19),
            Number(text: "1e400", int: nil, double: nil), Number(text: "-1e400", int: nil, double: nil),
            Number(text: "1e-400", int: nil, double: 0), Number(text: "1.000", int: 1, double: 1),
            Number(text: "0.1", int: nil, double: 0.1),
            Number(text: String(repeating: "9", count: 400), int: nil, double: nil),
        ])
    func readsNumbers(_ number: Number) throws {
        var parser = JSONParser()
        try parser.read(utf8("{\"x\":\(number.text),\"y\":[\(number.text)],\"z\":1}")) { (root) throws(WireError) in
            #expect(root["x"]?.int == number.int)
            #expect(root["x"]?.double == number.double)
            #expect(root["y"]?[0]?.int == number.int)
            #expect(root["x"]?.raw == utf8(number.text))
            // What follows a number that could not be converted is still read at its place.
            #expect(root["z"]?.int == 1)
        }
    }

    @Test("64 levels are read")
    func readsDeepDocuments() throws {
        var parser = JSONParser()
        let text = String(repeating: "[", count: 64) + String(repeating: "]", count: 64)
        #expect(try parser.read(utf8(text)) { $0.count } == 1)
    }

    @Test("A parser grows for a large document, gives the memory back and works on")
    func growsAndShrinks() throws {
        var parser = JSONParser()
        for size in [10, 5_000_000, 100, 3_000_000, 0] {
            let text = "{\"a\":\"" + String(repeating: "x", count: size) + "\\n\",\"b\":7}"
            try parser.read(utf8(text)) { (root) throws(WireError) in
                #expect(root["a"]?.bytes?.count == size + 1)
                #expect(root["b"]?.int == 7)
            }
        }
    }
}

extension String {
    fileprivate var trimmingSpaces: String { String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed()) }
}
