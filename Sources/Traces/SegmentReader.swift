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

    private static let everything = (1 << names.count) - 1

    private(set) var segment = LoggedSegment(role: .slm, sequence: 0, model: "", tokens: 0, finish: .other)
    private var found = 0

    /// Reads the segment; says which member is wrong, with a point before its name.
    mutating func read(_ item: JSON, _ names: inout NameTable) -> (member: String, rule: String)? {
        guard item.isObject else { return ("", "must be an object") }
        for member in item.children {
            if let rule = take(member, &names) { return ("." + member.key, rule) }
        }
        guard found != SegmentReader.everything else {
            guard segment.commandTokens <= segment.tokens else {
                return (
                    ".command_tokens",
                    "is \(segment.commandTokens), the segment has \(segment.tokens) tokens, which include those of commands"
                )
            }
            return nil
        }
        let missing = SegmentReader.names.indices.first { found >> $0 & 1 == 0 } ?? 0
        return (".\(SegmentReader.names[missing])", "is missing")
    }

    private static let countRule = "must be a whole number from 0 to \(LoggedRequest.tokenLimit)"
    private static let optionalRule = "must be a whole number from 0 to \(TraceObject.countLimit), or null"
    private static let timeRule = "must be a number of milliseconds"

    /// Returns what the member must be, when it is not that.
    private mutating func take(_ member: JSON, _ names: inout NameTable) -> String? {
        if let rule = takeNumber(member) { return rule.isEmpty ? nil : rule }
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

    /// Empty when a number was taken, nil when the member is none of them.
    private mutating func takeNumber(_ member: JSON) -> String? {
        if member.hasKey("tokens") { return take(member, .tokens) { $0.tokens = $1 } }
        if member.hasKey("command_tokens") { return take(member, .commandTokens) { $0.commandTokens = $1 } }
        if member.hasKey("choice") { return take(member, .choice) { $0.choice = $1 } }
        if member.hasKey("seq") { return take(member, .sequence) { $0.sequence = $1 } }
        if member.hasKey("attempt") { return take(member, .attempt) { $0.attempt = $1 } }
        if member.hasKey("requested") { return takeOptional(member) { $0.requested = $1 } }
        if member.hasKey("granted") { return takeOptional(member) { $0.granted = $1 } }
        if member.hasKey("input_tokens") { return takeOptional(member) { $0.inputTokens = $1 } }
        if member.hasKey("cached_input_tokens") { return takeOptional(member) { $0.cachedTokens = $1 } }
        if member.hasKey("cache_write_tokens") { return takeOptional(member) { $0.cacheWriteTokens = $1 } }
        if member.hasKey("started_ms") { return takeTime(member) { $0.startedMicroseconds = $1 } }
        if member.hasKey("ms") { return takeTime(member) { $0.durationMicroseconds = $1 } }
        guard member.hasKey("cost_pico") else { return nil }
        if member.isNull { return "" }
        guard let cost = member.int, cost >= 0 else { return "must be a whole number of pico-dollars from 0, or null" }
        segment.costPico = cost
        return ""
    }

    private mutating func mark(_ member: Member) { found |= 1 << member.rawValue }

    private mutating func take(_ value: JSON, _ member: Member, _ set: (inout LoggedSegment, Int) -> Void) -> String {
        guard let count = value.int, (0...LoggedRequest.tokenLimit).contains(count) else {
            return SegmentReader.countRule
        }
        mark(member)
        set(&segment, count)
        return ""
    }

    private mutating func takeOptional(_ value: JSON, _ set: (inout LoggedSegment, Int) -> Void) -> String {
        if value.isNull { return "" }
        // What is above the limit of a replay means the same as the limit, as in the ledger; what is above the ledger's
        // was never in it.
        guard let count = value.int, (0...TraceObject.countLimit).contains(count) else {
            return SegmentReader.optionalRule
        }
        set(&segment, min(count, LoggedRequest.tokenLimit))
        return ""
    }

    private mutating func takeTime(_ value: JSON, _ set: (inout LoggedSegment, Int64) -> Void) -> String {
        guard let milliseconds = value.double, milliseconds.magnitude <= 9e12 else { return SegmentReader.timeRule }
        set(&segment, Int64((milliseconds * 1000).rounded()))
        return ""
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
