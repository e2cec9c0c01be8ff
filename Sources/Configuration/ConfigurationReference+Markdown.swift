import Notation

extension ConfigurationReference {
    /// The table of all keys in Markdown, for the reference page: one table for each top-level section.
    package static var markdown: String {
        var lines: [String] = []
        for entry in entries {
            if entry.parentPath.isEmpty {
                if !lines.isEmpty { lines.append("") }
                lines += [
                    "## `\(entry.path)`", "", topText(entry), "", "| key | type | default | meaning |",
                ]
                lines.append("| --- | --- | --- | --- |")
            } else {
                let cells = [
                    "`\(entry.path)`", typeText(entry.kind), defaultText(entry.defaultValue), entry.meaning,
                ]
                lines.append("| \(cells.map(escaped).joined(separator: " | ")) |")
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// What a key takes, in words with its limits.
    package static func typeText(_ kind: ReferenceEntry.Kind) -> String {
        switch kind {
        case .section: "section"
        case .sections: "list of sections"
        case .text(let maximumBytes): "text, at most \(Quantity.text(bytes: maximumBytes))"
        case .name: "name: 1 to 64 letters, digits, `-`, `_`, `.`"
        case .modelName: "name, also with `/` and `:`"
        case .names: "name or list of names"
        case .integer(let range): "whole number, \(range.lowerBound) to \(range.upperBound)"
        case .automaticInteger(let range):
            "`auto` or whole number, \(range.lowerBound) to \(range.upperBound)"
        case .number(let range): "number, \(range.lowerBound) to \(range.upperBound)"
        case .duration(let range):
            "duration, \(Quantity.text(range.lowerBound)) to \(Quantity.text(range.upperBound))"
        case .bytes(let range):
            "size, \(Quantity.text(bytes: range.lowerBound)) to \(Quantity.text(bytes: range.upperBound))"
        case .choice(let words): words.map { "`\($0)`" }.joined(separator: ", ")
        case .boolean: "`true` or `false`"
        case .secret: "`env:NAME` or `file:/path`"
        case .connectionString: "`env:NAME`, `file:/path` or connection string"
        case .url: "`http://` or `https://` address"
        case .policy: "policy"
        }
    }

    /// What holds when a key is absent, in words.
    package static func defaultText(_ value: ReferenceEntry.Default) -> String {
        switch value {
        case .required: "required"
        case .absent: "none"
        case .value(let text): "`\(text)`"
        case .derived(let words): words
        }
    }

    private static func topText(_ entry: ReferenceEntry) -> String {
        guard entry.kind == .sections else { return entry.meaning }
        let standard =
            entry.defaultValue == .required ? "Required" : "Default: \(defaultText(entry.defaultValue))"
        return "\(entry.meaning) A list. \(standard)."
    }

    /// A text as the cell of a table.
    package static func escaped(_ text: String) -> String {
        text.split(separator: "|", omittingEmptySubsequences: false).joined(separator: "\\|")
    }
}
