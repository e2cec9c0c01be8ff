internal import Accounting
internal import Store
internal import Wire

/// An object of a trace file, whose members are asked for by name and type. Members that are not asked for are ignored.
struct TraceObject {
    /// The largest count that the ledger holds.
    static let countLimit = 9_000_000_000_000_000

    let value: JSON
    /// What stands before the names of members in errors.
    let path: String

    init(_ value: JSON, path: String) throws(TraceFault) {
        guard value.isObject else { throw TraceFault(path.isEmpty ? nil : path, "must be an object") }
        self.value = value
        self.path = path
    }

    /// Refuses a line of another version of the format than this program's.
    func checkVersion() throws(TraceFault) {
        let (version, ours) = (try count("version", from: 1), TraceFormat.version)
        guard version == ours else {
            throw TraceFault(
                "version", "is \(version), this program reads \(ours): export the traces again with its release")
        }
    }

    func name(_ member: StaticString) -> String { path.isEmpty ? "\(member)" : "\(path).\(member)" }

    /// The member if it is there and not null.
    func present(_ member: StaticString) -> JSON? { value[member].flatMap { $0.isNull ? nil : $0 } }

    func text(_ member: StaticString) throws(TraceFault) -> String {
        guard let text = try optionalText(member) else { throw TraceFault(name(member), "must be a text") }
        return text
    }

    /// A name that usage is told apart by.
    func indexed(_ member: StaticString) throws(TraceFault) -> String {
        let text = try text(member)
        guard text.utf8.count <= TraceLine.nameLimit else {
            throw TraceFault(name(member), "must have at most \(TraceLine.nameLimit) bytes: shorten it")
        }
        return text
    }

    func optionalText(_ member: StaticString) throws(TraceFault) -> String? {
        guard let found = present(member) else { return nil }
        guard let text = found.string else { throw TraceFault(name(member), "must be a text") }
        return text
    }

    func choice(_ member: StaticString, _ allowed: [String]) throws(TraceFault) -> String {
        let text = try text(member)
        guard allowed.contains(text) else {
            throw TraceFault(name(member), "must be \(allowed.joined(separator: " or "))")
        }
        return text
    }

    func flag(_ member: StaticString) throws(TraceFault) -> Bool {
        guard let flag = present(member)?.bool else { throw TraceFault(name(member), "must be true or false") }
        return flag
    }

    func count(_ member: StaticString, from least: Int = 0) throws(TraceFault) -> Int {
        guard let count = try optionalCount(member, from: least) else {
            throw TraceFault(name(member), "must be a whole number from \(least)")
        }
        return count
    }

    func optionalCount(_ member: StaticString, from least: Int = 0) throws(TraceFault) -> Int? {
        guard let found = present(member) else { return nil }
        guard let count = found.int, (least...TraceObject.countLimit).contains(count) else {
            throw TraceFault(name(member), "must be a whole number from \(least) to \(TraceObject.countLimit)")
        }
        return count
    }

    /// Milliseconds as microseconds.
    func microseconds(_ member: StaticString, isSigned: Bool = false) throws(TraceFault) -> Int64 {
        guard let value = try optionalMicroseconds(member, isSigned: isSigned) else {
            throw TraceFault(name(member), "must be a number of milliseconds")
        }
        return value
    }

    func optionalMicroseconds(_ member: StaticString, isSigned: Bool = false) throws(TraceFault) -> Int64? {
        guard let found = present(member) else { return nil }
        guard let value = found.double, value.magnitude <= Double(TraceObject.countLimit) / 1000, isSigned || value >= 0
        else { throw TraceFault(name(member), "must be a number of milliseconds") }
        return Int64((value * 1000).rounded())
    }

    /// The elements of an array, each with its path.
    func items(_ member: StaticString) throws(TraceFault) -> [TraceObject] {
        guard let list = present(member), list.isArray else { throw TraceFault(name(member), "must be an array") }
        var items: [TraceObject] = []
        for (position, item) in list.children.enumerated() {
            items.append(try TraceObject(item, path: "\(name(member))[\(position)]"))
        }
        return items
    }
}

extension TraceObject {
    /// The probability with which the policy chose what it did; nil when it is not known.
    func propensity() throws(TraceFault) -> Double? {
        guard let value = present("propensity") else { return nil }
        guard let share = value.double, share > 0, share <= 1 else {
            throw TraceFault(name("propensity"), "must be above 0 and at most 1, or null")
        }
        return share
    }
}

extension RequestRecord {
    /// Takes how the request ended and what was counted, which lines and dead letters have under the same names.
    mutating func readEnd(_ root: TraceObject) throws(TraceFault) {
        outcome = Outcome(rawValue: try root.choice("outcome", Outcome.allCases.map(\.rawValue))) ?? .completed
        finish = try root.text("finish")
        degraded = try root.optionalText("degraded")
        calls = try root.count("calls")
        malformed = try root.count("malformed")
        promptTokens = try root.count("prompt_tokens")
        slmTokens = try root.count("slm_tokens")
        llmTokens = try root.count("llm_tokens")
        commandTokens = try root.count("command_tokens")
        visibleTokens = try root.count("visible_tokens")
    }
}
