import Foundation
import Testing

@testable import Wire

@Suite("Random input")
struct FuzzTests {
    private static let corpus = [
        #"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"a\u00e9"}]}],"stop":["x"],"n":2}"#,
        #"{"model":"m","prompt":["x"],"stream":true,"stream_options":{},"relay":{"annotate":true}}"#,
        #"{"choices":[{"index":0,"delta":{"content":"é","tool_calls":[{}]},"logprobs":{"a":[1e400]}}],"usage":null}"#,
        #"{"choices":[],"usage":{"prompt_tokens":14,"completion_tokens":-1,"prompt_tokens_details":{"x":1}}}"#,
        #"{"error":{"message":"m","code":400}}"#, "[[[[{}]]]]", #"{"a":[1,-2.5e10,true,null,"\n\\\"\ud83d\ude00"]}"#,
    ].map(utf8)

    private static let tokens = ["{", "}", "[", "]", ",", ":", "\"", "\\", "1e999", "-", "null", "\u{FEFF}", "\"a\":"]
        .map(utf8)

    /// A document of the corpus with a few bytes changed, removed, doubled or put in.
    private func mutated(_ generator: inout SeededGenerator) -> [UInt8] {
        var bytes = Self.corpus.randomElement(using: &generator) ?? []
        for _ in 0..<Int.random(in: 0...4, using: &generator) where !bytes.isEmpty {
            let position = Int.random(in: 0..<bytes.count, using: &generator)
            switch Int.random(in: 0..<5, using: &generator) {
            case 0: bytes[position] = UInt8.random(in: 0...255, using: &generator)
            case 1: bytes.remove(at: position)
            case 2: bytes.insert(contentsOf: Self.tokens.randomElement(using: &generator) ?? [], at: position)
            case 3: bytes.removeLast(bytes.count - position)
            default: bytes.insert(contentsOf: bytes[position...].prefix(20), at: position)
            }
        }
        return bytes
    }

    @Test("Mutated documents neither trap nor disagree with Foundation's parser on what is an accepted document")
    func documents() throws {
        var generator = SeededGenerator("documents")
        var parser = JSONParser()
        var acceptedCount = 0
        for round in 0..<20_000 {
            let bytes = mutated(&generator)
            let read = try? parser.read(bytes) { $0.raw }
            if read != nil {
                acceptedCount += 1
                // Foundation refuses numbers beyond a double, which is a limit of it and not of JSON.
                let text = String(decoding: bytes, as: UTF8.self)
                if text.range(of: "[0-9][eE][+]?[0-9]{3}", options: .regularExpression) == nil {
                    let other = try? JSONSerialization.jsonObject(with: Data(bytes))
                    #expect(other != nil, "round \(round), seed \(generator.seed): \(text)")
                }
            }
            _ = try? UpstreamChunk(parsing: bytes, with: &parser)
            for endpoint in Endpoint.allCases {
                let request = try? InferenceRequest(parsing: bytes, endpoint: endpoint, with: &parser)
                #expect(request.map { !$0.model.isEmpty && $0.choices >= 1 } ?? true)
            }
        }
        #expect(acceptedCount > 1000)
    }

    @Test("Random streams give the same events in any pieces")
    func streams() throws {
        var generator = SeededGenerator("streams")
        let pieces = ["data:", "data: ", "\n", "\r", "\r\n", "x", ":", "[DONE]", "\u{FEFF}", " ", "event: e", "é"].map(
            utf8)
        for round in 0..<5_000 {
            var bytes: [UInt8] = []
            for _ in 0..<Int.random(in: 0...20, using: &generator) {
                bytes += pieces.randomElement(using: &generator) ?? []
            }
            var whole = SSEParser()
            let expected = try whole.push(bytes)
            var split = SSEParser()
            var events: [[UInt8]] = []
            var rest = bytes[...]
            while !rest.isEmpty {
                let piece = rest.prefix(Int.random(in: 1...5, using: &generator))
                rest = rest.dropFirst(piece.count)
                events += try split.push([UInt8](piece))
            }
            #expect(events == expected, "round \(round), seed \(generator.seed)")
            #expect(split.isDone == whole.isDone && split.isInsideEvent == whole.isInsideEvent)
        }
    }
}
