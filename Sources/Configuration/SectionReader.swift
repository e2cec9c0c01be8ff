import Notation

/// Reads one section by a table of keys, such as `ConfigurationReference`: checks its keys, then hands out typed
/// values.
///
/// Every reader returns a value even after a problem (the lowest allowed one, or an empty text), so that the rest of
/// the file is still checked; nothing is built from such values, because a file with problems is refused as a whole.
package struct SectionReader {
    /// Where the section begins.
    package let position: Position
    /// The section's path with indices, for messages.
    package let path: String
    package let problems: ProblemList
    /// The section's path in the reference.
    private let referencePath: String
    private let values: [String: YAMLNode]
    private let table: KeyTable
    private var unread: Set<String>

    /// - Parameters:
    ///   - node: nil when the section is absent, which gives every key its default.
    ///   - table: the keys of this kind of file.
    package init(
        _ node: YAMLNode?, path: String, referencePath: String, position: Position, problems: ProblemList,
        table: KeyTable = ConfigurationReference.table
    ) {
        self.table = table
        self.position = node?.position ?? position
        self.path = path
        self.referencePath = referencePath
        self.problems = problems
        let known = table.keys(in: referencePath).map(\.key)
        unread = Set(known)
        values = Self.checkedValues(of: node, path: path, known: known, problems: problems)
    }

    /// States that the loader asked for every key that the reference lists; both are code, so a gap is a defect.
    package consuming func finish() {
        precondition(unread.isEmpty, "the loader does not read \(unread.sorted()) of \(referencePath)")
    }

    /// States that a key which is absent is not read because that has no meaning.
    package mutating func skip(_ key: String) {
        precondition(!has(key), "\(key) is there and has to be read")
        unread.remove(key)
    }

    // MARK: - Structure

    /// Where a key's value is, or the section when the key is absent.
    package func position(of key: String) -> Position {
        values[key]?.position ?? position
    }

    /// Whether the file has the key.
    package func has(_ key: String) -> Bool {
        values[key] != nil
    }

    /// A key's full path for messages.
    package func path(of key: String) -> String {
        path.isEmpty ? key : "\(path).\(key)"
    }

    /// The reader of the section under `key`.
    package mutating func section(_ key: String) -> SectionReader {
        let entry = entry(key, isKind: { $0 == .section })
        return SectionReader(
            values[key], path: path(of: key), referencePath: entry.path, position: position, problems: problems,
            table: table)
    }

    /// The readers of the items of the list under `key`; nil when the key is absent or is no list.
    package mutating func sections(_ key: String) -> [SectionReader]? {
        let entry = entry(key, isKind: { $0 == .sections })
        guard let node = value(key, entry) else { return nil }
        guard case .sequence(let items) = node.content else {
            add(.wrongType, key, "must be a list, not \(node.kindDescription)")
            return nil
        }
        return items.enumerated().map { index, item in
            SectionReader(
                item, path: "\(path(of: key))[\(index)]", referencePath: entry.path + "[]",
                position: item.position, problems: problems, table: table)
        }
    }

    // MARK: - Values

    /// A whole number.
    package mutating func integer(_ key: String) -> Int {
        integerIfPresent(key) ?? 0
    }

    /// A whole number, or nil when the key is absent and has no default.
    package mutating func integerIfPresent(_ key: String) -> Int? {
        let entry = entry(key) { if case .integer = $0 { true } else { false } }
        guard case .integer(let range) = entry.kind, let text = text(of: key, entry, plainOnly: true)
        else { return nil }
        return number(text, key, range, alternative: "")
    }

    /// A whole number, or nil for `auto`.
    mutating func automaticInteger(_ key: String) -> Int? {
        let entry = entry(key) { if case .automaticInteger = $0 { true } else { false } }
        guard case .automaticInteger(let range) = entry.kind, let text = text(of: key, entry),
            text != "auto"
        else {
            return nil
        }
        return number(text, key, range, alternative: "auto or ")
    }

    /// A number in decimals, or nil when the key is absent and has no default.
    package mutating func numberIfPresent(_ key: String) -> Double? {
        let entry = entry(key) { if case .number = $0 { true } else { false } }
        guard case .number(let range) = entry.kind, let text = text(of: key, entry, plainOnly: true) else { return nil }
        guard let value = Double(text), value.isFinite, text.utf8.allSatisfy({ "+-.0123456789eE".utf8.contains($0) })
        else {
            add(.wrongType, key, "must be a number such as 0.25, not \(shown(text))")
            return range.lowerBound
        }
        guard range.contains(value) else {
            add(.outOfRange, key, "must be from \(range.lowerBound) to \(range.upperBound), not \(shown(text))")
            return range.lowerBound
        }
        return value
    }

    /// A duration.
    mutating func duration(_ key: String) -> Duration {
        let entry = entry(key) { if case .duration = $0 { true } else { false } }
        guard case .duration(let range) = entry.kind, let text = text(of: key, entry) else {
            return .zero
        }
        guard let value = Quantity.duration(text) else {
            add(
                .wrongType, key,
                "must be a duration with a unit such as 250ms, 30s or 5m, not \(shown(text))")
            return range.lowerBound
        }
        guard range.contains(value) else {
            let limits = "\(Quantity.text(range.lowerBound)) to \(Quantity.text(range.upperBound))"
            add(.outOfRange, key, "must be from \(limits), not \(shown(text))")
            return range.lowerBound
        }
        return value
    }

    /// A duration, or nil when the key is absent and has no default.
    package mutating func durationIfPresent(_ key: String) -> Duration? {
        let value = duration(key)
        return has(key) ? value : nil
    }

    /// A byte count.
    mutating func bytes(_ key: String) -> Int {
        let entry = entry(key) { if case .bytes = $0 { true } else { false } }
        guard case .bytes(let range) = entry.kind, let text = text(of: key, entry) else { return 0 }
        guard let value = Quantity.bytes(text) else {
            add(.wrongType, key, "must be a size with a unit such as 64KiB or 4MiB, not \(shown(text))")
            return range.lowerBound
        }
        guard range.contains(value) else {
            let limits =
                "\(Quantity.text(bytes: range.lowerBound)) to \(Quantity.text(bytes: range.upperBound))"
            add(.outOfRange, key, "must be from \(limits), not \(shown(text))")
            return range.lowerBound
        }
        return value
    }

    /// `true` or `false`; nil when the key is absent.
    package mutating func booleanIfPresent(_ key: String) -> Bool? {
        let entry = entry(key, isKind: { $0 == .boolean })
        guard let text = text(of: key, entry, plainOnly: true) else { return nil }
        if text != "true", text != "false" {
            add(.wrongType, key, "must be true or false, not \(shown(text))")
        }
        return text == "true"
    }

    /// One of a few words; nil when the key is absent and has no default, or is wrong.
    package mutating func choice<Choice: RawRepresentable & CaseIterable>(_ key: String, _: Choice.Type)
        -> Choice?
    where Choice.RawValue == String {
        let words = Choice.allCases.map(\.rawValue)
        let entry = entry(key, isKind: { $0 == .choice(words) })
        guard let text = text(of: key, entry) else { return nil }
        if let choice = Choice(rawValue: text) { return choice }
        let guess = NearestName.among(words, to: text).map { ", did you mean \"\($0)\"?" } ?? ""
        add(.outOfRange, key, "must be \(words.joined(separator: ", ")), not \(shown(text))\(guess)")
        return nil
    }

    /// Text that is not empty, checked as far as its kind says.
    package mutating func text(_ key: String) -> String {
        textIfPresent(key) ?? ""
    }

    /// Text, or nil when the key is absent and has no default.
    package mutating func textIfPresent(_ key: String) -> String? {
        let entry = entry(key) { kind in
            switch kind {
            case .text, .name, .modelName, .policy, .url, .secret, .connectionString: true
            default: false
            }
        }
        guard let text = text(of: key, entry) else { return nil }
        if let complaint = Self.complaint(about: text, kind: entry.kind) {
            add(.outOfRange, key, complaint)
        }
        return text
    }

    /// One name, or a list of names that differ, each with its place.
    package mutating func names(_ key: String) -> [(name: String, path: String, position: Position)] {
        let entry = entry(key, isKind: { $0 == .names })
        guard let node = value(key, entry) else { return [] }
        var names: [(name: String, path: String, position: Position)] = []
        switch node.content {
        case .scalar(let text, _) where !node.isNull:
            names = [(text, path(of: key), node.position)]
        case .sequence(let items) where !items.isEmpty:
            for (index, item) in items.enumerated() {
                let itemPath = "\(path(of: key))[\(index)]"
                if case .scalar(let text, _) = item.content, !item.isNull {
                    if names.contains(where: { $0.name == text }) {
                        problems.add(
                            .duplicate, at: item.position, path: itemPath, "\(shown(text)) is listed twice")
                    }
                    names.append((text, itemPath, item.position))
                } else {
                    let message = "must be a name, not \(item.kindDescription)"
                    problems.add(.wrongType, at: item.position, path: itemPath, message)
                }
            }
        default:
            add(.wrongType, key, "must be a name or a list of names, not \(node.kindDescription)")
        }
        return names
    }

    /// Adds a problem at the place of `key`.
    package func add(_ code: ConfigurationError.Code, _ key: String, _ message: String) {
        problems.add(code, at: position(of: key), path: path(of: key), message)
    }

    // MARK: - Steps

    private mutating func entry(_ key: String, isKind: (ReferenceEntry.Kind) -> Bool)
        -> ReferenceEntry
    {
        guard
            let entry = table.keys(in: referencePath).first(where: { $0.key == key }),
            isKind(entry.kind)
        else { preconditionFailure("the reference has no fitting key \(key) in \(referencePath)") }
        unread.remove(key)
        return entry
    }

    /// The node under `key`; adds a problem when a required key is absent.
    private func value(_ key: String, _ entry: ReferenceEntry) -> YAMLNode? {
        if let node = values[key] { return node }
        if entry.defaultValue == .required { add(.missing, key, "is required and missing") }
        return nil
    }

    /// The text under `key`, or its default's text.
    private func text(of key: String, _ entry: ReferenceEntry, plainOnly: Bool = false) -> String? {
        guard let node = value(key, entry) else {
            guard case .value(let text) = entry.defaultValue else { return nil }
            return text
        }
        if node.isNull {
            add(.wrongType, key, "has no value; write one, or remove the key")
            return nil
        }
        guard case .scalar(let text, let plain) = node.content, plain || !plainOnly else {
            let wanted = plainOnly ? "a value without quotes" : "a single value"
            add(.wrongType, key, "must be \(wanted), not \(node.kindDescription)")
            return nil
        }
        return text
    }

    private func number(_ text: String, _ key: String, _ range: ClosedRange<Int>, alternative: String)
        -> Int
    {
        let digits = text.hasPrefix("-") ? text.dropFirst() : text[...]
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            add(.wrongType, key, "must be \(alternative)a whole number, not \(shown(text))")
            return range.lowerBound
        }
        // All digits but not an Int: too large, which is a matter of range like any other.
        guard let value = Int(text), range.contains(value) else {
            let limits = "\(range.lowerBound) to \(range.upperBound)"
            add(.outOfRange, key, "must be \(alternative)from \(limits), not \(shown(text))")
            return range.lowerBound
        }
        return value
    }
}
