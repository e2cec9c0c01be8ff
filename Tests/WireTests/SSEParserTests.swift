import Testing

@testable import Wire

@Suite("Server-sent events")
struct SSEParserTests {
    struct Stream: Sendable, CustomTestStringConvertible {
        let name: String
        let bytes: [UInt8]
        let events: [String]
        var isDone = false
        var isInsideEvent = false
        var testDescription: String { name }

        init(_ name: String, _ text: String, _ events: [String], isDone: Bool = false, isInsideEvent: Bool = false) {
            self.name = name
            bytes = [UInt8](text.utf8)
            self.events = events
            self.isDone = isDone
            self.isInsideEvent = isInsideEvent
        }
    }

    static let streams: [Stream] = [
        Stream("line feeds", "data: a\n\ndata: b\n\n", ["a", "b"]),
        Stream("carriage returns", "data: a\r\rdata: b\r\r", ["a", "b"]),
        Stream("both", "data: a\r\n\r\ndata: b\r\n\r\n", ["a", "b"]),
        Stream("mixed ends", "data: a\r\n\ndata: b\n\r\ndata: c\r\r\n", ["a", "b", "c"]),
        Stream("no space", "data:a\n\n", ["a"]), Stream("two spaces keep one", "data:  a\n\n", [" a"]),
        Stream("several data lines, CRLF", "data: a\r\ndata: b\r\n\r\n", ["a\nb"]),
        Stream("several data lines, CR", "data: a\rdata: b\r\r", ["a\nb"]),
        Stream("several data lines", "data: a\ndata: b\ndata:\ndata: c\n\n", ["a\nb\n\nc"]),
        Stream("comments", ":\n\n: ping\ndata: a\n: in between\n\n:\n\n", ["a"]),
        Stream("other fields", "event: x\nid: 1\nretry: 5\ndata: a\nunknown\n\n", ["a"]),
        Stream("names that begin alike", "datax: b\ndat: c\ndata: a\n\n", ["a"]),
        Stream("event without data", "event: x\n\n\n\ndata: a\n\n", ["a"]),
        Stream("empty data", "data:\n\ndata: \n\ndata\n\ndata: a\n\n", ["a"]),
        Stream("byte order mark", "\u{FEFF}data: a\n\n", ["a"]),
        Stream("byte order mark later", "data: a\n\n\u{FEFF}data: b\n\n", ["a"]),
        Stream("done", "data: a\n\ndata: [DONE]\n\n", ["a"], isDone: true),
        Stream("done without space", "data:[DONE]\n\n", [], isDone: true),
        Stream("after done", "data: [DONE]\n\ndata: a\n\n", [], isDone: true),
        Stream("done as text", "data: \"[DONE]\"\n\n", ["\"[DONE]\""]),
        Stream("no done", "data: a\n\n", ["a"]),
        Stream("cut in a line", "data: a\n\ndata: b", ["a"], isInsideEvent: true),
        Stream("cut after a line", "data: a\n\ndata: b\n", ["a"], isInsideEvent: true),
        Stream("multi-byte", "data: é😀\u{2028}\n\n", ["é😀\u{2028}"]),
    ]

    private func check(_ stream: Stream, _ pieces: [ArraySlice<UInt8>]) throws {
        var parser = SSEParser()
        var events: [String] = []
        for piece in pieces { events += try parser.push([UInt8](piece)).map { String(decoding: $0, as: UTF8.self) } }
        #expect(events == stream.events)
        #expect(parser.isDone == stream.isDone)
        #expect(parser.isInsideEvent == stream.isInsideEvent)
    }

    @Test("A stream gives the same events whole, byte by byte and split anywhere in two or three", arguments: streams)
    func splits(_ stream: Stream) throws {
        let bytes = stream.bytes
        try check(stream, [bytes[...]])
        try check(stream, bytes.indices.map { bytes[$0...$0] })
        for first in 0...bytes.count {
            try check(stream, [bytes[..<first], bytes[first...]])
            for second in first...bytes.count {
                try check(stream, [bytes[..<first], bytes[first..<second], bytes[second...]])
            }
        }
    }

    @Test("Joined streams give the joined events")
    func joined() throws {
        let whole = Self.streams.filter { !$0.isDone && !$0.isInsideEvent && $0.name != "byte order mark" }
        var parser = SSEParser()
        let events = try parser.push(whole.flatMap(\.bytes)).map { String(decoding: $0, as: UTF8.self) }
        #expect(events == whole.flatMap(\.events))
    }

    @Test("A beginning that only looks like a byte order mark is part of the first line")
    func halfByteOrderMark() throws {
        for split in 0...12 {
            var parser = SSEParser()
            // The first line is no data line because of the two bytes before its name.
            let bytes: [UInt8] = [0xEF, 0xBB] + utf8("data: b\ndata: a\n\n")
            var events = try parser.push([UInt8](bytes[..<split]))
            events += try parser.push([UInt8](bytes[split...]))
            #expect(events == [utf8("a")])
        }
    }

    @Test("A line and an event are bounded, in one piece and in many", arguments: [1, 7, 4096])
    func bounds(_ piece: Int) throws {
        let hostile = [
            utf8("data: " + String(repeating: "x", count: 200)),
            utf8(String(repeating: "data: 0123456789\n", count: 20)),
            utf8(":" + String(repeating: "x", count: 200)),
            utf8(String(repeating: "data:\n", count: 200)),
        ]
        for bytes in hostile {
            var parser = SSEParser(limit: 100)
            let error = #expect(throws: WireError.self) {
                for start in stride(from: 0, to: bytes.count, by: piece) {
                    _ = try parser.push([UInt8](bytes[start..<min(start + piece, bytes.count)]))
                }
                _ = try parser.push(utf8("\n"))
            }
            #expect(error?.code == .invalidUpstreamBody)
        }
        var parser = SSEParser(limit: 100)
        #expect(try parser.push(utf8("data: " + String(repeating: "x", count: 94) + "\n\n")).count == 1)
    }
}
