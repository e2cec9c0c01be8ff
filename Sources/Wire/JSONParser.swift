import CSimdJSON

/// A reusable JSON parser over simdjson: 0.3 microseconds for a chunk of a stream.
///
/// Every document is validated completely: structure, numbers, escapes, UTF-8, nesting of at most 64 levels. The root
/// must be an object or an array. One parser serves one loop; it grows to the size of its documents and gives back what
/// one large document made it take.
@safe
package struct JSONParser: ~Copyable {
    private let handle: OpaquePointer

    /// Creates a parser, which takes no buffer until its first document.
    package init() {
        guard let handle = unsafe rg_json_create() else { preconditionFailure("no memory for a JSON parser") }
        unsafe self.handle = handle
    }

    deinit { unsafe rg_json_destroy(handle) }

    /// Parses a document and passes its root to `body`. The root and what is reached from it must not leave `body`.
    ///
    /// - Throws: `WireError` with code `invalid_json` when the document is malformed, and whatever `body` throws.
    package mutating func read<Result>(
        _ document: Span<UInt8>, _ body: (JSON) throws(WireError) -> Result
    ) throws(WireError) -> Result {
        let status = unsafe document.withUnsafeBufferPointer { buffer in
            unsafe rg_json_parse(handle, buffer.baseAddress, buffer.count)
        }
        guard status == RG_JSON_OK, let nodes = unsafe rg_json_nodes(handle), let input = unsafe rg_json_input(handle)
        else { throw failure(status) }
        defer { unsafe rg_json_shrink(handle, Self.bufferLimit) }
        return try body(unsafe JSON(nodes: nodes, input: input, index: 0))
    }

    /// Parses a document held in an array; see `read(_:_:)` above.
    package mutating func read<Result>(
        _ document: [UInt8], _ body: (JSON) throws(WireError) -> Result
    ) throws(WireError) -> Result {
        try read(document.span, body)
    }

    private func failure(_ status: Int32) -> WireError {
        let offset = unsafe rg_json_error_offset(handle)
        let message =
            switch Int(status) {
            case RG_JSON_UTF8: "The JSON is not valid UTF-8. Encode the body as UTF-8."
            case RG_JSON_DEPTH: "The JSON is nested deeper than \(RG_JSON_DEPTH_LIMIT) levels. Send it flatter."
            case RG_JSON_TOO_LONG: "The JSON is too long to be parsed. Send less at a time."
            case RG_JSON_MEMORY: "There is no memory to parse the JSON. Send less at a time."
            case RG_JSON_NOT_CONTAINER: "The JSON must be an object or an array."
            default:
                "The body is not valid JSON\(offset > 0 ? " (near byte \(offset))" : ""). Check quotes, commas and brackets."
            }
        return WireError(.invalidJSON, message)
    }

    /// Buffers over this many bytes are given back after the document that needed them.
    private static let bufferLimit = 1 << 20
}

// The handle has one owner, which cannot be copied, so only one thread at a time can reach it.
extension JSONParser: @unchecked Sendable {}
