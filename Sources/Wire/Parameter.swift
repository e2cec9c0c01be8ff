/// One field of a request body and what the gateway does with it.
///
/// `Parameter.all` is the whole policy: the parser, the documentation and the tests read the same table.
package struct Parameter: Sendable {
    /// What happens to a field.
    package enum Treatment: Sendable, Equatable {
        /// The gateway reads it and writes its own value towards the model servers.
        case read
        /// It goes to the model servers as it is, after a check of its type.
        case passed
        /// Passed when one model writes the whole answer, refused by name under the relay.
        case singleOnly
        /// Refused by name unless it has the value that changes nothing.
        case refused(unless: NeutralValue)
    }

    /// A value that asks for nothing; `null` is always one.
    package enum NeutralValue: String, Sendable {
        case none = "null"
        case `false`, zero, one, empty
        case textOnly = "[\"text\"]"
    }

    /// The type a field must have.
    package enum ValueType: String, Sendable {
        case any, integer, number, string, object, array
        case bool = "boolean"
        case objectOrArray = "object or array"
        case stringOrArray = "string or array"
        case boolOrInteger = "boolean or integer"
    }

    /// The name in the body. A final `*` stands for any ending.
    package let name: String

    /// What happens to it.
    package let treatment: Treatment

    /// The type that is checked.
    package let type: ValueType

    /// The endpoints that know it; on the other one it is refused.
    package let endpoints: [Endpoint]

    /// The meaning of a field that is served, or the reason of one that is refused, as a sentence.
    package let why: String

    init(
        _ name: String, _ treatment: Treatment, _ type: ValueType = .any, on endpoints: [Endpoint] = Endpoint.allCases,
        why: String
    ) {
        self.name = name
        self.treatment = treatment
        self.type = type
        self.endpoints = endpoints
        self.why = why
    }
}

extension Parameter {
    /// The table's entry for a name; nil for a vendor field, which is passed on untouched.
    package static func named(_ name: String) -> Parameter? {
        if let exact = byName[name] { return exact }
        return wildcards.first { name.hasPrefix($0.name.dropLast()) }
    }

    private static let byName = Dictionary(all.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    private static let wildcards = all.filter { $0.name.hasSuffix("*") }

    /// Whether the value asks for nothing, so that the field can be left out.
    func isNeutral(_ value: JSON) -> Bool {
        if value.isNull { return true }
        guard case .refused(let neutral) = treatment else { return false }
        return switch neutral {
        case .none: false
        case .false: value.bool == false
        case .zero: value.int == 0
        case .one: value.int == 1
        case .empty: value.equals("") || (value.isArray && value.count == 0)
        case .textOnly: value.isArray && value.count == 1 && value[0]?.equals("text") == true
        }
    }

    /// Whether the value has the type of this field. A number must be within the range of a double.
    func accepts(_ value: JSON) -> Bool {
        switch type {
        case .any: true
        case .integer: value.int != nil
        case .number: value.double != nil
        case .bool: value.bool != nil
        case .string: value.isString
        case .object: value.isObject
        case .array: value.isArray
        case .objectOrArray: value.isObject || value.isArray
        case .stringOrArray: value.isString || value.isArray
        case .boolOrInteger: value.bool != nil || value.int != nil
        }
    }
}
