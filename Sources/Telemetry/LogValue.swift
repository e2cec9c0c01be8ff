/// The value of a log field.
///
/// There is no way from other types into it on purpose: a secret cannot become a field by interpolation or by a
/// general conversion.
package enum LogValue: Sendable, Equatable {
    case string(String)
    case integer(Int)
    case boolean(Bool)
    /// Written in milliseconds; JSON keys get the suffix `_ms`.
    case duration(Duration)
}

extension LogValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByBooleanLiteral
{
    package init(stringLiteral value: StaticString) { self = .string(value.description) }
    package init(integerLiteral value: Int) { self = .integer(value) }
    package init(booleanLiteral value: Bool) { self = .boolean(value) }
}

/// The fields of a log line in order, written as a dictionary literal: `["port": .integer(port), "tls": true]`.
///
/// Names are static, so that input never chooses them and `time`, `level` and `message` stay the logger's own.
package struct LogFields: Sendable, ExpressibleByDictionaryLiteral {
    package var values: [(name: StaticString, value: LogValue)]

    package init(_ values: [(name: StaticString, value: LogValue)] = []) {
        self.values = values
    }

    package init(dictionaryLiteral elements: (StaticString, LogValue)...) {
        values = elements.map { (name: $0.0, value: $0.1) }
    }
}
