import Notation

extension SectionReader {
    /// The values of a section by key, after checking that each key is known and appears once.
    static func checkedValues(
        of node: YAMLNode?, path: String, known: [String], problems: ProblemList
    ) -> [String: YAMLNode] {
        guard let node else { return [:] }
        guard case .mapping(let entries) = node.content else {
            let message =
                node.isNull
                ? "has no keys; write some, or remove it"
                : "must be a section of keys, not \(node.kindDescription)"
            problems.add(.wrongType, at: node.position, path: path, message)
            return [:]
        }
        var values: [String: YAMLNode] = [:]
        for entry in entries {
            guard case .scalar(let key, _) = entry.key.content else {
                let message = "a key must be a word, not \(entry.key.kindDescription)"
                problems.add(.wrongType, at: entry.key.position, path: path, message)
                continue
            }
            let keyPath = (path.isEmpty ? "" : path + ".") + clipped(key)
            if !known.contains(key) {
                let guess = NearestName.among(known, to: key).map { ", did you mean \"\($0)\"?" }
                let message = "unknown key" + (guess ?? ", known are \(known.joined(separator: ", "))")
                problems.add(.unknownKey, at: entry.key.position, path: keyPath, message)
            } else if values.updateValue(entry.value, forKey: key) != nil {
                problems.add(
                    .duplicate, at: entry.key.position, path: keyPath, "appears twice in this section")
            }
        }
        return values
    }

    /// What is wrong with a text of this kind, or nil.
    static func complaint(about text: String, kind: ReferenceEntry.Kind) -> String? {
        switch kind {
        case .text(let maximumBytes):
            if text.isEmpty { return "must not be empty" }
            return text.utf8.count > maximumBytes ? "must be at most \(maximumBytes) bytes long" : nil
        case .name:
            return isName(text, extra: "") ? nil : "must be 1 to 64 letters, digits, '-', '_' or '.'"
        case .modelName:
            return isName(text, extra: "/:")
                ? nil : "must be 1 to 64 letters, digits, '-', '_', '.', '/' or ':'"
        case .policy:
            if PolicyNotation.isValid(text) { return nil }
            let guess =
                NearestName.among(PolicyNotation.forms, to: text).map { ", did you mean \"\($0)\"?" } ?? ""
            let forms = PolicyNotation.forms.joined(separator: ", ")
            return "must be \(forms) (k at least 1, p from 0 to 1), not \(shown(text))\(guess)"
        default:
            return nil
        }
    }

    private static func isName(_ text: String, extra: String) -> Bool {
        let allowed = Array(("-_." + extra).utf8)
        return (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte & 0xDF)
                    || allowed.contains(byte)
            }
    }
}

/// A value from the file in quotes for a message; long ones are cut.
package func shown(_ text: String) -> String {
    "\"\(clipped(text))\""
}

/// Text from the file for a message: cut when long, with line breaks and the like made visible.
package func clipped(_ text: String) -> String {
    let head = text.unicodeScalars.prefix(64).map { $0.escaped(asASCII: false) }.joined()
    return text.unicodeScalars.count > 64 ? head + "…" : head
}
