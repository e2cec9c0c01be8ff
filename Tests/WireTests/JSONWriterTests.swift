import Foundation
import Testing

@testable import Wire

@Suite("JSON writer")
struct JSONWriterTests {
    @Test("Every character below U+0300 and beyond survives writing and reading by another parser")
    func escapes() throws {
        var scalars = (0..<0x300).compactMap(Unicode.Scalar.init).map { Character($0) }
        scalars += ["\u{2028}", "\u{2029}", "\u{FFFD}", "😀", "\u{10FFFF}"]
        for character in scalars {
            let text = "a\(character)b\(character)"
            var bytes: [UInt8] = []
            bytes.append(json: "{\"t\":")
            bytes.append(jsonString: text)
            bytes.append(json: "}")
            let read = try #require(try foundation(bytes)["t"] as? String)
            #expect(Array(read.unicodeScalars) == Array(text.unicodeScalars))
            // A line break in an event's data would end the event's line.
            #expect(!bytes.contains(0x0A) && !bytes.contains(0x0D))
        }
    }

    @Test(
        "Escapes are the short forms of RFC 8259 where it has any",
        arguments: [
            ("\"", #""\"""#), ("\\", #""\\""#), ("\n", #""\n""#), ("\r", #""\r""#), ("\t", #""\t""#),
            ("\u{0}", #""\u0000""#), ("\u{1F}", #""\u001f""#), ("\u{7F}", "\"\u{7F}\""), ("/", "\"/\""), ("", "\"\""),
            ("é", "\"é\""),
        ])
    func writesShortForms(_ text: String, _ expected: String) {
        var bytes: [UInt8] = []
        bytes.append(jsonString: text)
        #expect(String(decoding: bytes, as: UTF8.self) == expected)
        var again: [UInt8] = []
        again.append(jsonString: utf8(text))
        #expect(again == bytes)
    }

    @Test("Integers are written to the last digit", arguments: [0, 1, -1, 9, 10, 1_234_567_890, Int.max, Int.min])
    func writesIntegers(_ value: Int) {
        var bytes = utf8("x")
        bytes.append(jsonInteger: value)
        #expect(String(decoding: bytes, as: UTF8.self) == "x\(value)")
    }

    @Test("Raw JSON loses its line breaks, so that it fits on one line of an event")
    func writesRawJSON() throws {
        var bytes: [UInt8] = []
        bytes.append(rawJSON: utf8("{\r\n \"a\" : \"\\n\"\n}"))
        #expect(!bytes.contains(0x0A) && !bytes.contains(0x0D))
        #expect(try foundation(bytes)["a"] as? String == "\n")
    }
}
