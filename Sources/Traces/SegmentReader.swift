internal import Simulator
internal import Wire

/// Reads a segment in one pass over its members, in any order: most of a line are segments.
struct SegmentReader {
    private enum Member: Int {
        case role, model, tokens, commandTokens, finish, choice, sequence, attempt
    }

    private static let names: [StaticString] = [
        "role", "model", "tokens", "command_tokens", "finish", "choice", "seq", "attempt",
    ]

    private(set) var segment = LoggedSegment(role: .slm, sequence: 0, model: "", tokens: 0, finish: .other)
    private var found = 0

    /// Reads the segment; says which member is wrong, with a point before its name.
    mutating func read(_ item: JSON, _ names: inout NameTable) -> (member: String, rule: String)? {
        guard item.isObject else { return ("", "must be an object") }
        for member in item.children {
            if let rule = take(member, &names) { return ("." + member.key, rule) }
        }
        for (index, name) in SegmentReader.names.enumerated() where found >> index & 1 == 0 {
            return (".\(name)", "is missing")
        }
        return nil
    }

    /// Returns what the member must be, when it is not that.
    private mutating func take(_ member: JSON, _ names: inout NameTable) -> String? {
        if member.hasKey("tokens") { return take(member, .tokens, \.tokens) }
        if member.hasKey("command_tokens") { return take(member, .commandTokens, \.commandTokens) }
        if member.hasKey("choice") { return take(member, .choice, \.choice) }
        if member.hasKey("seq") { return take(member, .sequence, \.sequence) }
        if member.hasKey("attempt") { return take(member, .attempt, \.attempt) }
        if member.hasKey("requested") { return take(member, \.requested) }
        if member.hasKey("granted") { return take(member, \.granted) }
        if member.hasKey("input_tokens") { return take(member, \.inputTokens) }
        if member.hasKey("cached_input_tokens") { return take(member, \.cachedTokens) }
        if member.hasKey("cache_write_tokens") { return take(member, \.cacheWriteTokens) }
        if member.hasKey("cost_pico") { return takeCost(member) }
        if member.hasKey("started_ms") { return take(member, \.startedMicroseconds) }
        if member.hasKey("ms") { return take(member, \.durationMicroseconds) }
        if member.hasKey("role") {
            mark(.role)
            segment.role = member.equals("llm") ? .llm : .slm
            return member.equals("llm") || member.equals("slm") ? nil : "must be slm or llm"
        }
        if member.hasKey("model") {
            mark(.model)
            guard let name = names.text(member) else { return "must be a text" }
            segment.model = name
            return nil
        }
        if member.hasKey("finish") {
            mark(.finish)
            guard let word = names.text(member) else { return "must be a text" }
            segment.finish = LoggedSegment.Finish(word)
        }
        return nil
    }

    private mutating func mark(_ member: Member) { found |= 1 << member.rawValue }

    private mutating func take(
        _ value: JSON, _ member: Member, _ path: WritableKeyPath<LoggedSegment, Int>
    ) -> String? {
        guard let count = value.int, (0...LoggedRequest.tokenLimit).contains(count) else {
            return "must be a whole number from 0 to \(LoggedRequest.tokenLimit)"
        }
        mark(member)
        segment[keyPath: path] = count
        return nil
    }

    private mutating func take(_ value: JSON, _ path: WritableKeyPath<LoggedSegment, Int?>) -> String? {
        if value.isNull { return nil }
        // An n may have any number of digits; what is above the limit means the same as the limit.
        guard let count = value.int, count >= 0 else { return "must be a whole number from 0, or null" }
        segment[keyPath: path] = min(count, LoggedRequest.tokenLimit)
        return nil
    }

    private mutating func takeCost(_ value: JSON) -> String? {
        if value.isNull { return nil }
        guard let cost = value.int, cost >= 0 else { return "must be a whole number from 0, or null" }
        segment.costPico = cost
        return nil
    }

    private mutating func take(_ value: JSON, _ path: WritableKeyPath<LoggedSegment, Int64>) -> String? {
        guard let milliseconds = value.double, milliseconds.magnitude <= 9e12 else {
            return "must be a number of milliseconds"
        }
        segment[keyPath: path] = Int64((milliseconds * 1000).rounded())
        return nil
    }
}

/// Texts that come again and again: the same bytes give the same text without a new allocation.
struct NameTable {
    private static let limit = 64
    private var names: [String] = []

    /// The text of a value; nil when it is none.
    mutating func text(_ value: JSON) -> String? {
        if let known = names.first(where: { value.equals($0) }) { return known }
        guard let text = value.string else { return nil }
        if names.count < NameTable.limit { names.append(text) }
        return text
    }

    mutating func text(_ object: TraceObject, _ member: StaticString) throws(TraceFault) -> String {
        guard let value = object.present(member), let text = text(value) else {
            throw TraceFault(object.name(member), "must be a text")
        }
        return text
    }
}
