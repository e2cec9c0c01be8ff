import Foundation
import Testing

@testable import Wire

/// Parses bytes by an implementation that is not ours.
func foundation(_ bytes: [UInt8]) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any])
}

/// The JSON payloads of a stream, `[DONE]` left out, parsed by Foundation.
func payloads(_ stream: [UInt8]) throws -> [[String: Any]] {
    var parser = SSEParser()
    return try parser.push(stream).map(foundation)
}

/// The error a body is refused with, or nil when it is accepted.
func refusal(_ body: String, _ endpoint: Endpoint = .chat, for policy: PolicyClass? = nil) -> WireError? {
    do {
        let request = try accepted(body, endpoint)
        if let policy { try request.check(for: policy) }
        return nil
    } catch let error as WireError {
        return error
    } catch {
        return WireError(.internalError, "\(error)")
    }
}

/// Parses a body that is expected to be accepted.
func accepted(_ body: String, _ endpoint: Endpoint = .chat) throws -> InferenceRequest {
    var parser = JSONParser()
    return try InferenceRequest(parsing: [UInt8](body.utf8), endpoint: endpoint, with: &parser)
}

/// Parses one event of a model server.
func chunk(_ text: String) throws -> UpstreamChunk {
    var parser = JSONParser()
    return try UpstreamChunk(parsing: [UInt8](text.utf8), with: &parser)
}

/// Text as bytes.
func utf8(_ text: String) -> [UInt8] { [UInt8](text.utf8) }

/// A small generator whose seed can be printed and given back (`WIRE_SEED`).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    let seed: UInt64

    init(_ name: String) {
        let given = ProcessInfo.processInfo.environment["WIRE_SEED"].flatMap(UInt64.init)
        seed = given ?? UInt64.random(in: 0...UInt64.max)
        state = seed
        print("\(name): WIRE_SEED=\(seed)")
    }

    /// SplitMix64.
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
