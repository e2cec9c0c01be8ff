extension InferenceRequest {
    /// Parses and checks a body.
    ///
    /// - Parameters:
    ///   - body: the whole body.
    ///   - endpoint: where it was sent.
    ///   - limits: bounds on what it may ask for.
    ///   - parser: the loop's parser.
    /// - Throws: `WireError` with status 400 that names the field and the remedy.
    package init(
        parsing body: Span<UInt8>, endpoint: Endpoint, limits: Limits = Limits(), with parser: inout JSONParser
    ) throws(WireError) {
        self = try parser.read(body) { (root) throws(WireError) in
            try InferenceRequest(root, endpoint: endpoint, limits: limits)
        }
    }

    /// Parses a body held in an array; see `init(parsing:endpoint:limits:with:)` above.
    package init(
        parsing body: [UInt8], endpoint: Endpoint, limits: Limits = Limits(), with parser: inout JSONParser
    ) throws(WireError) {
        try self.init(parsing: body.span, endpoint: endpoint, limits: limits, with: &parser)
    }

    private init(_ root: JSON, endpoint: Endpoint, limits: Limits) throws(WireError) {
        guard root.isObject else { throw WireError(.invalidType, "The body must be a JSON object.") }
        self.init(endpoint: endpoint)
        var reader = Reader(limits: limits)
        // A second occurrence of a field is refused, so that no two readers of one body can disagree on its meaning.
        // The set bounds the work for hostile bodies; a list would make it quadratic.
        var seen: Set<String> = []
        seen.reserveCapacity(16)
        for member in root.children {
            let name = member.key
            guard seen.insert(name).inserted else { throw .duplicate(name) }
            try take(member, name: name, reader: &reader)
        }
        try complete(reader)
    }

    /// What is only decided once all fields have been seen, in whatever order they came.
    private struct Reader {
        let limits: Limits
        var maxTokens: Int?
        var maxCompletionTokens: Int?
        var hasStreamOptions = false
        var hasSource = false
    }

    private mutating func take(_ value: JSON, name: String, reader: inout Reader) throws(WireError) {
        guard let parameter = Parameter.named(name) else {
            guard name.utf8.count <= 64, !name.isEmpty else {
                throw WireError(.unknownParameter, "The name of a field has 1 to 64 bytes. Check it.", param: name)
            }
            passthrough.append(Field(name: name, value: value.raw, singleOnly: false))
            return
        }
        if parameter.isNeutral(value) { return }
        guard parameter.endpoints.contains(endpoint) else {
            throw .unsupported(name, "it belongs to the other endpoint.")
        }
        if case .refused = parameter.treatment { throw .unsupported(name, parameter.why) }
        guard parameter.accepts(value) else { throw .wrongType(name, Self.article(parameter.type)) }
        switch parameter.treatment {
        case .read:
            try read(value, name: name, reader: &reader)
        case .passed, .singleOnly:
            if name == "seed" { seed = value.int }
            if name == "user" { user = value.string.map { String($0.prefix(512)) } }
            if name == "metadata" { readMetadata(value) }
            let singleOnly = parameter.treatment == .singleOnly
            passthrough.append(Field(name: name, value: value.raw, singleOnly: singleOnly))
        case .refused:
            break
        }
    }

    private static func article(_ type: Parameter.ValueType) -> String {
        switch type {
        case .integer, .object, .objectOrArray, .array: "an \(type.rawValue)"
        case .number: "a number within the range of a double"
        default: "a \(type.rawValue)"
        }
    }

    private mutating func read(_ value: JSON, name: String, reader: inout Reader) throws(WireError) {
        let limits = reader.limits
        switch name {
        case "model":
            guard let text = value.string, !text.isEmpty else { throw .invalid(name, "a model name, not empty") }
            model = text
        case "messages":
            try readMessages(value)
            reader.hasSource = true
        case "prompt":
            try readPrompt(value)
            reader.hasSource = true
        case "stream":
            stream = value.bool ?? false
        case "stream_options":
            try readStreamOptions(value)
            reader.hasStreamOptions = true
        case "n":
            choices = try Self.bounded(value, name, limits.choices)
        case "max_tokens":
            reader.maxTokens = try Self.bounded(value, name, limits.tokens)
        case "max_completion_tokens":
            reader.maxCompletionTokens = try Self.bounded(value, name, limits.tokens)
        case "stop":
            stop = try Self.stopStrings(value, limits: limits)
        case "relay":
            try readRelay(value)
        default:
            // A row of the table that says "read" and is not read here would drop a field silently.
            preconditionFailure("the parameter \(name) is not read")
        }
    }

    private static func bounded(_ value: JSON, _ name: String, _ limit: Int) throws(WireError) -> Int {
        guard let number = value.int, number >= 1, number <= limit else {
            throw .invalid(name, "an integer from 1 to \(limit)")
        }
        return number
    }

    private mutating func readMetadata(_ value: JSON) {
        for member in value.children {
            let isPlain = !member.isObject && !member.isArray && !member.isNull
            let text = member.string ?? (isPlain ? String(decoding: member.raw, as: UTF8.self) : nil)
            metadata[member.key] = text.map { String($0.prefix(512)) }
        }
    }

    private mutating func readMessages(_ value: JSON) throws(WireError) {
        guard value.count > 0 else { throw .invalid("messages", "an array of at least one message") }
        messages.reserveCapacity(value.count)
        var position = 0
        for element in value.children {
            messages.append(try ChatMessage(element, position: position))
            position += 1
        }
        rawMessages = value.raw
    }

    private mutating func readPrompt(_ value: JSON) throws(WireError) {
        guard let text = value.bytes ?? (value.count == 1 ? value[0]?.bytes : nil) else {
            throw .invalid("prompt", "one string; token arrays and several prompts are not supported")
        }
        // Servers disagree on an empty prompt: some refuse it, some answer nothing.
        guard !text.isEmpty else { throw .invalid("prompt", "a string that is not empty") }
        prompt = text
    }

    private mutating func readStreamOptions(_ value: JSON) throws(WireError) {
        var seen = false
        for member in value.children {
            let path = "stream_options.\(member.key)"
            if member.hasKey("include_usage") {
                guard !seen else { throw .duplicate(path) }
                seen = true
                guard member.bool != nil || member.isNull else { throw .wrongType(path, "a boolean") }
                includeUsage = member.bool ?? false
            } else if !(member.isNull || member.bool == false) {
                throw .unsupported(path, "only include_usage is served.")
            }
        }
    }

    private mutating func readRelay(_ value: JSON) throws(WireError) {
        var seen = false
        for member in value.children {
            let path = "relay.\(member.key)"
            guard member.hasKey("annotate") else {
                throw WireError(.unknownParameter, "'\(path)' is unknown. The only option is 'annotate'.", param: path)
            }
            guard !seen else { throw .duplicate(path) }
            seen = true
            guard let flag = member.bool else { throw .wrongType(path, "a boolean") }
            annotate = flag
        }
    }

    private static func stopStrings(_ value: JSON, limits: Limits) throws(WireError) -> [[UInt8]] {
        var strings: [[UInt8]] = []
        if let single = value.bytes { strings = [single] }
        guard value.count <= 4 else { throw .invalid("stop", "at most four strings") }
        for element in value.children {
            guard let text = element.bytes else { throw .wrongType("stop", "a string or an array of strings") }
            strings.append(text)
        }
        for text in strings where text.isEmpty || text.count > limits.stopBytes {
            throw .invalid("stop", "strings of 1 to \(limits.stopBytes) bytes")
        }
        return strings
    }

    private mutating func complete(_ reader: Reader) throws(WireError) {
        guard !model.isEmpty else { throw .missing("model") }
        guard reader.hasSource else { throw .missing(endpoint == .chat ? "messages" : "prompt") }
        if reader.hasStreamOptions && !stream {
            throw WireError(
                .invalidValue, "'stream_options' is only for streams. Remove it or set 'stream' to true.",
                param: "stream_options")
        }
        if let first = reader.maxTokens, let second = reader.maxCompletionTokens, first != second {
            throw WireError(
                .invalidValue, "'max_tokens' and 'max_completion_tokens' differ. Send only one of them.",
                param: "max_tokens")
        }
        maxTokens = reader.maxTokens ?? reader.maxCompletionTokens
    }
}
