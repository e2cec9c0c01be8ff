/// One item of `models`: a public name, the pair that answers, and the policy.
package struct ModelConfiguration: Sendable, Equatable {
    /// What follows when the LLM ends by itself (rule T2).
    package enum EndOfSequence: String, Sendable, CaseIterable {
        case finish, resume
    }

    /// What follows when a call is refused or fails (rule F1).
    package enum Refusal: String, Sendable, CaseIterable {
        case degrade, fail
    }

    /// How a command is written (rule C1).
    package struct Tags: Sendable, Equatable {
        package var open: String
        package var close: String
    }

    /// What teaches the command to an SLM that was not trained.
    package struct Prompted: Sendable, Equatable {
        /// A worked example.
        package struct Example: Sendable, Equatable {
            package var question: String
            package var answer: String
        }

        /// nil means the text built in.
        package var system: String?
        /// nil means the examples built in; empty means none.
        package var examples: [Example]?
    }

    package var name: String
    package var pair: String
    /// Checked by `PolicyNotation`.
    package var policy: String
    package var maxCalls: Int
    /// In tokens.
    package var maxCallTokens: Int
    package var maxMalformed: Int
    package var onLLMEndOfSequence: EndOfSequence
    package var onRefused: Refusal
    package var tags: Tags
    /// Worked examples in front of the SLM's prompt, nil where nothing was said: policy `prompted` then has those that
    /// are built in, the others have none.
    package var prompted: Prompted?
}

/// The grammar of policy names: `relay`, `prompted`, `fixed(k)`, `random(p)`, `slm`, `llm`.
package enum PolicyNotation {
    /// The forms, for messages and documentation.
    package static let forms = ["relay", "prompted", "fixed(k)", "random(p)", "slm", "llm"]

    /// Whether the text is a policy: k is a whole number of at least 1, p a number from 0 to 1.
    package static func isValid(_ text: String) -> Bool {
        if ["relay", "prompted", "slm", "llm"].contains(text) { return true }
        if let argument = argument(of: "fixed", in: text) {
            return argument.utf8.allSatisfy { (0x30...0x39).contains($0) } && (Int(argument) ?? 0) >= 1
        }
        if let argument = argument(of: "random", in: text) {
            // `Double` alone would also take "nan", "0x1p-1" and a sign.
            let isDecimal = argument.utf8.allSatisfy {
                (0x30...0x39).contains($0) || $0 == UInt8(ascii: ".")
            }
            return isDecimal && (Double(argument).map { (0...1).contains($0) } ?? false)
        }
        return false
    }

    private static func argument(of name: String, in text: String) -> String? {
        guard text.hasPrefix("\(name)("), text.hasSuffix(")") else { return nil }
        let argument = text.dropFirst(name.count + 1).dropLast()
        return argument.isEmpty ? nil : String(argument)
    }
}
