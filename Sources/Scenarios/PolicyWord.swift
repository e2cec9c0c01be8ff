internal import Notation
package import Simulator

/// A policy in one word, as `--policy` and scenario files have it: `fixed:20`, `random:matched-tokens`, or with the
/// gateway's brackets, `fixed(20)`.
package enum PolicyWord {
    /// The forms, for messages and help.
    package static let forms = [
        "as-logged", "slm", "llm", "oracle", "random:SHARE", "random:matched-QUANTITY", "fixed:N", "cap-n:N",
        "cap-calls:N", "cap-tokens:N", "threshold:TAG>=NUMBER", "threshold:TAG@AIM=NUMBER", "cascade:ACCEPT/REJECT",
    ]

    /// Why a word is no policy; completes "policies[0].policy: …".
    package struct Fault: Error, Equatable {
        package let message: String
    }

    private static let quantities: [(word: String, policy: Counterfactual)] = [
        ("tokens", .randomRouterAtCost(.llmTokens)), ("generated", .randomRouterAtCost(.generatedTokens)),
        ("billed", .randomRouterAtCost(.billedTokens)), ("money", .randomRouterAtCost(.money)),
        ("parameters", .randomRouterAtCost(.activatedParameters)), ("requests", .randomRouterAtCost(.requests)),
        ("accuracy", .randomRouterAtAccuracy),
    ]

    package static func policy(_ text: String) throws(Fault) -> Counterfactual {
        let (head, argument) = parts(text)
        switch (head, argument) {
        case ("as-logged", nil): return .asLogged
        case ("slm", nil): return .slmOnly
        case ("llm", nil): return .llmOnly
        case ("oracle", nil): return .oracleRouter
        case ("random", let argument?): return try random(argument)
        case ("fixed", let argument?): return .fixedLength(try count(argument, from: 1, "fixed:20"))
        case ("cap-n", let argument?): return .capTokensPerCall(try count(argument, from: 1, "cap-n:32"))
        case ("cap-calls", let argument?): return .capCalls(try count(argument, from: 0, "cap-calls:2"))
        case ("cap-tokens", let argument?): return .capTokensPerRequest(try count(argument, from: 0, "cap-tokens:100"))
        case ("threshold", let argument?): return try threshold(argument)
        case ("cascade", let argument?): return try cascade(argument)
        default: throw unknown(text, head)
        }
    }

    /// The word of a policy; nil for those that need more than a word.
    package static func word(_ policy: Counterfactual) -> String? {
        switch policy {
        case .asLogged: "as-logged"
        case .slmOnly: "slm"
        case .llmOnly: "llm"
        case .oracleRouter: "oracle"
        case .randomRouter(let share): "random:\(Number.plain(share))"
        case .randomRouterAtCost, .randomRouterAtAccuracy:
            quantities.first { $0.policy == policy }.map { "random:matched-\($0.word)" }
        case .fixedLength(let count): "fixed:\(count)"
        case .capTokensPerCall(let count): "cap-n:\(count)"
        case .capCalls(let count): "cap-calls:\(count)"
        case .capTokensPerRequest(let count): "cap-tokens:\(count)"
        case .thresholdRouter(let score, let threshold): "threshold:\(score)>=\(Number.plain(threshold))"
        case .chosenThreshold(let score, let aim): "threshold:\(score)@\(PolicyWord.aim(aim))"
        case .cascade(let accept, let reject): "cascade:\(Number.plain(accept))/\(Number.plain(reject))"
        case .budgets, .timeShared: nil
        }
    }

    private static func parts(_ text: String) -> (String, String?) {
        if text.last == ")", let open = text.firstIndex(of: "(") {
            return (String(text[..<open]), String(text[text.index(after: open)...].dropLast()))
        }
        guard let colon = text.firstIndex(of: ":") else { return (text, nil) }
        return (String(text[..<colon]), String(text[text.index(after: colon)...]))
    }

    private static func unknown(_ text: String, _ head: String) -> Fault {
        let heads = forms.map { String($0.prefix { $0 != ":" }) }
        if heads.contains(head) {
            let form = forms.filter { $0 == head || $0.hasPrefix(head + ":") }.joined(separator: " or ")
            return Fault(message: "must be \(form), not \(shown(text))")
        }
        let guess = NearestName.among(heads, to: head).map { ", did you mean \"\($0)\"?" } ?? ""
        return Fault(message: "\(shown(text)) is no policy; there are \(forms.joined(separator: ", "))\(guess)")
    }

    private static func random(_ text: String) throws(Fault) -> Counterfactual {
        if text.hasPrefix("matched-") {
            let word = String(text.dropFirst("matched-".count))
            if let found = quantities.first(where: { $0.word == word }) { return found.policy }
            let known = quantities.map { "matched-\($0.word)" }
            let guess = NearestName.among(known, to: text).map { ", did you mean \"\($0)\"?" } ?? ""
            throw Fault(message: "there is no random:\(text); there are \(known.joined(separator: ", "))\(guess)")
        }
        return .randomRouter(share: try share(text, "random:0.3 or random:matched-tokens"))
    }

    private static func threshold(_ text: String) throws(Fault) -> Counterfactual {
        let sides = text.split(separator: ">=", maxSplits: 1, omittingEmptySubsequences: false)
        if sides.count == 1, let sign = text.lastIndex(of: "@"), sign > text.startIndex {
            return .chosenThreshold(score: String(text[..<sign]), aim: try aim(text[text.index(after: sign)...]))
        }
        guard sides.count == 2, !sides[0].isEmpty, let value = Decimals.double(sides[1]) else {
            throw Fault(
                message: "must be a tag and a number, such as threshold:difficulty>=0.5, or a tag and an aim, such as "
                    + "threshold:difficulty@share=0.3")
        }
        return .thresholdRouter(score: String(sides[0]), threshold: value)
    }

    /// The names of aims, for words; scenario files have them with underscores.
    static let aims = ["share", "accuracy", "llm-accuracy", "cost"]

    /// An aim of a name and its number; nil when there is no such name.
    static func aim(_ name: String, _ value: Double) -> ThresholdAim? {
        switch name {
        case "share": .share(value)
        case "accuracy": .accuracy(value)
        case "llm-accuracy": .llmAccuracy(value)
        case "cost": .cost(value)
        default: nil
        }
    }

    private static func aim(_ aim: ThresholdAim) -> String {
        switch aim {
        case .share(let value): "share=\(Number.plain(value))"
        case .accuracy(let value): "accuracy=\(Number.plain(value))"
        case .llmAccuracy(let value): "llm-accuracy=\(Number.plain(value))"
        case .cost(let value): "cost=\(Number.plain(value))"
        }
    }

    /// Reads `share=0.3`.
    private static func aim(_ text: Substring) throws(Fault) -> ThresholdAim {
        let sides = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        if sides.count == 1, aims.contains(sides[0]) {
            throw Fault(
                message:
                    "\(shown(sides[0])) needs a number, as in threshold:difficulty@\(sides[0])=\(sides[0] == "cost" ? "1.50" : "0.3")"
            )
        }
        guard sides.count == 2, aims.contains(sides[0]) else {
            let guess = NearestName.among(aims, to: sides[0]).map { ", did you mean \"\($0)\"?" } ?? ""
            throw Fault(
                message: "\(shown(String(text))) is no aim of a threshold; there are share=, accuracy=, "
                    + "llm-accuracy= and cost=, such as threshold:difficulty@share=0.3\(guess)")
        }
        let isCost = sides[0] == "cost"
        let value = isCost ? dollars(sides[1]) : try share(sides[1], "threshold:difficulty@\(sides[0])=0.3")
        guard let value, let aim = aim(sides[0], value) else {
            throw Fault(
                message: "needs dollars for 1,000 requests, such as threshold:difficulty@cost=1.50, not "
                    + shown(sides[1]))
        }
        return aim
    }

    private static func dollars(_ text: String) -> Double? {
        Decimals.double(text).flatMap { (0...1e9).contains($0) ? $0 : nil }
    }

    private static func cascade(_ text: String) throws(Fault) -> Counterfactual {
        let sides = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard sides.count == 2 else {
            throw Fault(
                message: "must be the judge's rates of false accepts and false rejects, such as cascade:0.1/0.05")
        }
        return .cascade(
            falseAccept: try share(sides[0], "cascade:0.1/0.05"), falseReject: try share(sides[1], "cascade:0.1/0.05"))
    }

    private static func share(_ text: String, _ example: String) throws(Fault) -> Double {
        guard let share = Decimals.double(text), (0...1).contains(share)
        else { throw Fault(message: "needs a share from 0 to 1, such as \(example), not \(shown(text))") }
        return share
    }

    private static func count(_ text: String, from least: Int, _ example: String) throws(Fault) -> Int {
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let count = Int(text),
            (least...1_000_000_000).contains(count)
        else { throw Fault(message: "needs a whole number from \(least), such as \(example), not \(shown(text))") }
        return count
    }

    private static func shown(_ text: String) -> String { "\"\(text.prefix(64))\"" }
}
