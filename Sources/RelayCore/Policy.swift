/// Who writes what in an answer; chosen by the public model name or by the tenant's default.
package enum Policy: Sendable, Equatable, Hashable {
    /// The SLM's own commands.
    case relay
    /// As ``relay``, for an SLM that was not trained: a system text and worked examples teach the command.
    case prompted
    /// The SLM's commands, with n replaced by this number of tokens (paper, section 5.4).
    case fixed(Int)
    /// The whole answer by the LLM with this probability, else by the SLM.
    case random(Double)
    /// The SLM alone, commands forbidden (paper, section 5.3).
    case slm
    /// The LLM alone.
    case llm

    /// Reads the notation of ``name``: `relay`, `prompted`, `fixed(100)`, `random(0.3)`, `slm`, `llm`.
    ///
    /// - Returns: `nil` for anything else, for `fixed(k)` with k < 1 and for `random(p)` with p outside 0...1.
    package init?(_ text: String) {
        switch text {
        case "relay": self = .relay
        case "prompted": self = .prompted
        case "slm": self = .slm
        case "llm": self = .llm
        default:
            if let argument = Self.argument(of: "fixed", in: text) {
                guard argument.utf8.allSatisfy(\.isASCIIDigit), argument.utf8.first != UInt8(ascii: "0"),
                    let tokens = Int(argument), tokens >= 1
                else { return nil }
                self = .fixed(tokens)
            } else if let argument = Self.argument(of: "random", in: text) {
                guard let probability = Self.probability(argument) else { return nil }
                self = .random(probability)
            } else {
                return nil
            }
        }
    }

    /// The policy in the notation that ``init(_:)`` reads; used in model names, headers and the ledger.
    package var name: String {
        switch self {
        case .relay: "relay"
        case .prompted: "prompted"
        case .fixed(let tokens): "fixed(\(tokens))"
        case .random(let probability): "random(\(probability))"
        case .slm: "slm"
        case .llm: "llm"
        }
    }

    /// Decides who writes this answer.
    ///
    /// - Parameter draw: a uniform draw from [0, 1); only `random(p)` looks at it.
    /// - Returns: the writer and, for a drawn choice, the propensity with which it was chosen.
    package func script(draw: Double) -> Script {
        switch self {
        case .relay, .prompted: Script(writer: .relay(fixedTokens: nil))
        case .fixed(let tokens): Script(writer: .relay(fixedTokens: tokens))
        case .slm: Script(writer: .slm)
        case .llm: Script(writer: .llm)
        case .random(let probability):
            draw < probability
                ? Script(writer: .llm, propensity: probability) : Script(writer: .slm, propensity: 1 - probability)
        }
    }

    private static func argument(of function: String, in text: String) -> Substring? {
        guard text.hasPrefix(function + "("), text.hasSuffix(")") else { return nil }
        return text.dropFirst(function.count + 1).dropLast()
    }

    /// Only plain numbers: `Double.init` would also take hexadecimal, signs, `inf` and `nan`.
    private static func probability(_ text: Substring) -> Double? {
        guard text.utf8.first?.isASCIIDigit == true else { return nil }
        let plain = text.utf8.allSatisfy {
            $0.isASCIIDigit || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "e") || $0 == UInt8(ascii: "-")
        }
        guard plain, let value = Double(text), value >= 0, value <= 1 else { return nil }
        return value
    }
}
