internal import Notation

/// Which columns of a pair table hold what.
package struct PairColumns: Sendable, Equatable {
    package enum Role: String, Sendable, CaseIterable {
        /// Names the question in messages; the line does without it.
        case id
        case slmCorrect = "slm_correct"
        case llmCorrect = "llm_correct"
        /// Tokens that the model generated for its answer.
        case slmTokens = "slm_tokens"
        case llmTokens = "llm_tokens"
        case promptTokens = "prompt_tokens"
        /// Verdicts by a second rule, to see how much labels matter.
        case slmCorrectLenient = "slm_correct_lenient"
        case llmCorrectLenient = "llm_correct_lenient"

        /// Other names under which the column is found; RouteLLM calls the models weak and strong.
        var aliases: [String] {
            switch self {
            case .id: ["question", "question_id", "request_id"]
            case .slmCorrect: ["weak_correct"]
            case .llmCorrect: ["strong_correct"]
            case .slmTokens: ["weak_tokens"]
            case .llmTokens: ["strong_tokens"]
            case .promptTokens: ["input_tokens"]
            case .slmCorrectLenient: ["weak_correct_lenient"]
            case .llmCorrectLenient: ["strong_correct_lenient"]
            }
        }

        var isRequired: Bool { self == .slmCorrect || self == .llmCorrect }
        var isVerdict: Bool {
            switch self {
            case .slmCorrect, .llmCorrect, .slmCorrectLenient, .llmCorrectLenient: true
            case .id, .slmTokens, .llmTokens, .promptTokens: false
            }
        }
    }

    /// Names that were given; roles that are not here are found by their own name or an alias.
    package var names: [Role: String] = [:]

    package init() {}

    /// Reads `slm_correct=small_ok,llm_correct=large_ok`.
    package init(_ text: String) throws(SimulationError) {
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let sides = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard sides.count == 2, !sides[1].isEmpty else {
                throw SimulationError(
                    .scenario, "columns", "\"\(part)\" is not ROLE=COLUMN, such as slm_correct=small_model_right")
            }
            guard let role = Role(rawValue: String(sides[0])) else {
                let known = Role.allCases.map(\.rawValue)
                let near = NearestName.among(known, to: String(sides[0])).map { "; did you mean \($0)?" } ?? ""
                throw SimulationError(
                    .scenario, "columns",
                    "\"\(sides[0])\" is no role of a column; there are \(known.joined(separator: ", "))\(near)")
            }
            guard names.updateValue(String(sides[1]), forKey: role) == nil else {
                throw SimulationError(.scenario, "columns", "\(role.rawValue) is named twice")
            }
        }
    }

    /// The places of the roles in a header. Throws when a required or a given column is not in it.
    func places(in header: [String]) throws(SimulationError) -> [Role: Int] {
        var places: [Role: Int] = [:]
        for role in Role.allCases {
            let wanted = names[role].map { [$0] } ?? [role.rawValue] + role.aliases
            let found = wanted.compactMap { header.firstIndex(of: $0) }
            // Nothing is computed from a name of the question, so that any of several will do.
            if found.count > 1, role != .id {
                throw SimulationError(
                    .data, role.rawValue,
                    "the columns \(found.map { header[$0] }.joined(separator: " and ")) both could be it; "
                        + "name one: --columns \(role.rawValue)=\(header[found[0]])")
            }
            if let place = found.first {
                places[role] = place
            } else if role.isRequired || names[role] != nil {
                throw SimulationError(
                    .data, role.rawValue,
                    "there is no column \(wanted.joined(separator: " or ")); the file has "
                        + "\(header.joined(separator: ", ")). Name yours: --columns \(role.rawValue)=NAME")
            }
        }
        return places
    }
}
