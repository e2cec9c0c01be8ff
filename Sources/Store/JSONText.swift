/// Writes JSON (RFC 8259) on one line, members in the order given.
struct JSONText {
    private(set) var text = ""
    private var needsComma = false

    mutating func object(_ body: (inout JSONText) -> Void) {
        separate()
        text += "{"
        needsComma = false
        body(&self)
        text += "}"
        needsComma = true
    }

    mutating func array<Element>(_ elements: some Sequence<Element>, _ body: (inout JSONText, Element) -> Void) {
        separate()
        text += "["
        needsComma = false
        for element in elements { body(&self, element) }
        text += "]"
        needsComma = true
    }

    /// The name of the next member.
    mutating func key(_ name: StaticString) {
        separate()
        text += "\"\(name)\":"
        needsComma = false
    }

    /// The same for a name that is only known now.
    mutating func key(named name: String) {
        string(name)
        text += ":"
        needsComma = false
    }

    /// A member whose name comes from outside.
    mutating func member(named name: String, _ value: String) {
        key(named: name)
        self.value(value)
    }

    mutating func member(_ name: StaticString, _ value: String?) {
        key(name)
        self.value(value)
    }

    /// A member's value, or an element.
    mutating func value(_ value: String?) {
        if let value { string(value) } else { raw("null") }
    }

    /// A number that is written already, or null.
    mutating func value(number: String?) { raw(number ?? "null") }

    private mutating func string(_ value: String) {
        separate()
        text += "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\u{0}"..<"\u{20}", "\u{7F}"..."\u{9F}":
                let digits = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
        needsComma = true
    }

    /// Digits that are a number already.
    mutating func member(_ name: StaticString, number: String?) {
        key(name)
        raw(number ?? "null")
    }

    mutating func member(_ name: StaticString, _ value: Int?) {
        key(name)
        raw(value.map(String.init) ?? "null")
    }

    /// A number that JSON does not have (NaN, infinity) is null.
    mutating func member(_ name: StaticString, _ value: Double?) {
        key(name)
        raw(value.flatMap { $0.isFinite ? "\($0)" : nil } ?? "null")
    }

    mutating func member(_ name: StaticString, _ value: Bool) {
        key(name)
        raw(value ? "true" : "false")
    }

    private mutating func raw(_ token: String) {
        separate()
        text += token
        needsComma = true
    }

    private mutating func separate() {
        if needsComma { text += "," }
        needsComma = false
    }
}
