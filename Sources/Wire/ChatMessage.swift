/// One message of a chat request, as far as the gateway looks into it.
package struct ChatMessage: Equatable, Sendable {
    /// The roles of OpenAI's API.
    package enum Role: String, Sendable, CaseIterable {
        case system, developer, user, assistant, tool, function
    }

    /// Who speaks.
    package let role: Role

    /// The text as UTF-8. Several text parts are joined by a line feed, which is what chat templates see from servers
    /// that flatten parts themselves.
    package let text: [UInt8]

    /// Whether there are parts that are no text, such as images; `text` then holds only the rest.
    package let hasNonText: Bool

    /// Whether the message carries tool calls or is the result of one.
    package let hasTools: Bool

    /// Creates a message.
    package init(role: Role, text: [UInt8], hasNonText: Bool = false, hasTools: Bool = false) {
        self.role = role
        self.text = text
        self.hasNonText = hasNonText
        self.hasTools = hasTools
    }
}

extension ChatMessage {
    /// Reads element `position` of `messages`.
    ///
    /// - Throws: `WireError` with the path of the field at fault.
    init(_ json: JSON, position: Int) throws(WireError) {
        let path = "messages[\(position)]"
        guard json.isObject else { throw .wrongType(path, "an object with 'role' and 'content'") }
        var fields = Fields()
        for member in json.children {
            let name = member.hasKey("role") ? 0 : member.hasKey("content") ? 1 : 2
            if name == 0 { try fields.set(\.role, member, "\(path).role") }
            if name == 1 { try fields.set(\.content, member, "\(path).content") }
            if member.hasKey("tool_calls") || member.hasKey("function_call") {
                fields.hasCalls = fields.hasCalls || !member.isNull
            }
        }
        guard let roleValue = fields.role else { throw .missing("\(path).role") }
        guard let name = roleValue.string else { throw .wrongType("\(path).role", "a string") }
        guard let role = Role(rawValue: name) else {
            throw WireError(
                .invalidValue, "Unknown role '\(name.prefix(40))'. Use system, developer, user, assistant or tool.",
                param: "\(path).role")
        }
        let isAnswer = role == .tool || role == .function
        let content = try Content(fields.content, path: "\(path).content", optional: fields.hasCalls)
        self.init(
            role: role, text: content.text, hasNonText: content.hasNonText, hasTools: fields.hasCalls || isAnswer)
    }

    private struct Fields {
        var role: JSON?
        var content: JSON?
        var hasCalls = false

        mutating func set(_ field: WritableKeyPath<Fields, JSON?>, _ value: JSON, _ path: String) throws(WireError) {
            guard self[keyPath: field] == nil else { throw .duplicate(path) }
            self[keyPath: field] = value
        }
    }

    /// The content of a message: a string, or parts.
    private struct Content {
        var text: [UInt8] = []
        var hasNonText = false

        init(_ json: JSON?, path: String, optional: Bool) throws(WireError) {
            guard let json, !json.isNull else {
                guard optional else {
                    throw WireError(
                        .missingParameter,
                        "'\(path)' must be a string or an array of parts; null is only for tool calls.", param: path)
                }
                return
            }
            if let bytes = json.bytes {
                text = bytes
                return
            }
            guard json.isArray, json.count > 0 else { throw .wrongType(path, "a string or a non-empty array of parts") }
            var isFirst = true
            var position = 0
            for part in json.children {
                guard part.isObject, let type = part["type"], type.isString else {
                    throw .wrongType("\(path)[\(position)]", "an object with a string 'type'")
                }
                if type.equals("text") {
                    guard let bytes = part["text"]?.bytes else {
                        throw .wrongType("\(path)[\(position)].text", "a string")
                    }
                    if !isFirst { text.append(0x0A) }
                    text.append(contentsOf: bytes)
                    isFirst = false
                } else {
                    hasNonText = true
                }
                position += 1
            }
        }
    }
}
