import CSimdJSON

/// A value in a document that a `JSONParser` holds: a position, not a copy.
///
/// A view is valid inside the closure of `JSONParser.read` that it was passed to and must not leave it. Lookups never
/// trap: whatever is missing or of another type is nil.
@safe
package struct JSON {
    let nodes: UnsafePointer<rg_json_node>
    let input: UnsafePointer<UInt8>
    let index: Int

    /// The kinds of JSON value.
    package enum Kind: UInt8, Sendable {
        case null, `false`, `true`, number, string, array, object
    }

    /// The kind of this value.
    package var kind: Kind { unsafe Kind(rawValue: nodes[index].kind) ?? .null }

    /// Whether this is `null`.
    package var isNull: Bool { kind == .null }

    /// Whether this is an array.
    package var isArray: Bool { kind == .array }

    /// Whether this is an object.
    package var isObject: Bool { kind == .object }

    /// Whether this is a string.
    package var isString: Bool { kind == .string }

    /// The value of `true` and `false`, nil for anything else.
    package var bool: Bool? {
        switch kind {
        case .true: true
        case .false: false
        default: nil
        }
    }

    /// The number if it is written as an integer (`7`, `-7`, `7.0`) between -(2^63 - 1) and 2^63 - 1, else nil.
    package var int: Int? {
        guard unsafe nodes[index].flags & UInt8(RG_JSON_IS_INTEGER) != 0 else { return nil }
        return unsafe Int(exactly: nodes[index].integer)
    }

    /// The number as the nearest double, nil for other types and for numbers beyond the range of a double.
    package var double: Double? {
        guard unsafe nodes[index].flags & UInt8(RG_JSON_IS_FINITE) != 0 else { return nil }
        return unsafe nodes[index].number
    }

    /// The text of a string, unescaped.
    package var string: String? {
        guard kind == .string else { return nil }
        return unsafe String(decoding: text, as: UTF8.self)
    }

    /// The UTF-8 bytes of a string, unescaped.
    package var bytes: [UInt8]? {
        guard kind == .string else { return nil }
        return unsafe [UInt8](text)
    }

    /// Whether this is a string with exactly this text; compares without making a `String`.
    package func equals(_ text: StaticString) -> Bool {
        guard kind == .string else { return false }
        return unsafe same(self.text, text)
    }

    /// Whether this is a string with exactly this text, which was read before.
    package func equals(_ text: String) -> Bool {
        guard kind == .string, unsafe self.text.count == text.utf8.count else { return false }
        return unsafe self.text.elementsEqual(text.utf8)
    }

    /// The value as it was written, without the white space around it.
    package var raw: [UInt8] {
        unsafe [UInt8](
            UnsafeBufferPointer(start: input + Int(nodes[index].raw_offset), count: Int(nodes[index].raw_length)))
    }

    private var text: UnsafeBufferPointer<UInt8> {
        unsafe UnsafeBufferPointer(start: nodes[index].text, count: Int(nodes[index].text_length))
    }

    private var keyText: UnsafeBufferPointer<UInt8> {
        unsafe UnsafeBufferPointer(start: nodes[index].key, count: Int(nodes[index].key_length))
    }

    /// The key of a member of an object, unescaped; empty for anything else.
    package var key: String { unsafe String(decoding: keyText, as: UTF8.self) }

    /// Whether the key of this member is `name`.
    package func hasKey(_ name: StaticString) -> Bool { unsafe same(keyText, name) }

    /// The number of elements or members; 0 for a value that is no container.
    package var count: Int { unsafe Int(nodes[index].count) }

    /// The first member with this key; nil when there is none or this is no object.
    package subscript(key: StaticString) -> JSON? {
        guard kind == .object else { return nil }
        for member in children where member.hasKey(key) { return member }
        return nil
    }

    /// The element at this position; nil when there is none or this is no array.
    package subscript(position: Int) -> JSON? {
        guard kind == .array, position >= 0, position < count else { return nil }
        var left = position
        for element in children {
            if left == 0 { return element }
            left -= 1
        }
        return nil
    }

    /// The elements of an array or the members of an object, in order, duplicate keys included.
    package var children: Children {
        unsafe Children(nodes: nodes, input: input, at: index + 1, end: Int(nodes[index].next))
    }
}

extension JSON {
    /// The direct children of a container.
    @safe
    package struct Children: Sequence, IteratorProtocol {
        let nodes: UnsafePointer<rg_json_node>
        let input: UnsafePointer<UInt8>
        var at: Int
        let end: Int

        package mutating func next() -> JSON? {
            guard at < end else { return nil }
            defer { at = unsafe Int(nodes[at].next) }
            return unsafe JSON(nodes: nodes, input: input, index: at)
        }
    }
}

private func same(_ text: UnsafeBufferPointer<UInt8>, _ name: StaticString) -> Bool {
    guard text.count == name.utf8CodeUnitCount else { return false }
    for position in 0..<text.count where unsafe text[position] != name.utf8Start[position] { return false }
    return true
}
