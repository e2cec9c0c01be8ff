@testable import Simulator

/// One request under routers between the two models, from what either of them really writes alone.
///
/// Nothing of it is a formula of expectations: a router does one of a few things, each with its probability.
struct SlowRouted {
    let logged: SlowTotals
    let slm: SlowTotals
    let llm: SlowTotals
    let isJudged: Bool
    let score: Double?
    /// Whether the log, or what was run beside it, has the answer of this model alone, and its verdict where the
    /// request was judged.
    let knowsSLM: Bool
    let knowsLLM: Bool
    /// Cost models in which the log lacks a count of prompts for the answer as it was, for that of the SLM alone and
    /// for that of the LLM alone.
    let lacks: (logged: Set<Int>, slm: Set<Int>, llm: Set<Int>)

    init(_ item: BruteForceCase) {
        logged = item.truth(.none)
        slm = item.truth(.slm)
        llm = item.truth(.llm)
        isJudged = item.isJudged
        score = item.score
        func isMeasured(_ alone: LoggedAlone?) -> Bool { alone.map { $0.verdict != nil || !item.isJudged } ?? false }
        let log = item.runs(.none)
        let isBySLM =
            switch item.served {
            case .slm: true
            case .llm: false
            case .llmRefused: log.allSatisfy { !$0.segments.allSatisfy(\.isLLM) }
            // No command was written, nor forbidden, and every turn ended by itself or was tried again.
            default:
                item.world.examples == nil
                    && log.flatMap(\.segments).allSatisfy {
                        !$0.isLLM && $0.commandTokens == 0 && ["stop", "length", "failed"].contains($0.finish)
                    }
            }
        let isByLLM = if case .llm = item.served { true } else { false }
        knowsSLM = isBySLM || isMeasured(item.request.slmOnly)
        knowsLLM = isByLLM || isMeasured(item.request.llmOnly)
        // An attempt that came to nothing needs none. Only one model's server bills nothing for prompts.
        let hidden = item.hidesPrompts ? log.flatMap(\.segments).filter { $0.tokens > 0 } : []
        var logged: Set<Int> = hidden.isEmpty ? [] : [1, 2, 6, 7, 8]
        if hidden.contains(where: \.isLLM) { logged.insert(3) }
        lacks = (logged, isBySLM ? logged : [], isByLLM ? logged : [])
    }

    /// Whether it is one of those on which random routers are computed.
    var isPaired: Bool { isJudged && knowsSLM && knowsLLM }
}

/// A router, by what it does with a request.
enum SlowRouter {
    case slm, llm, oracle
    /// Requests without a score go where `unscored` says.
    case threshold(Double, unscored: Bool)
    /// Rates in millionths.
    case cascade(accepts: Int, rejects: Int)

    /// A thing that may happen, in 10^-12.
    typealias Outcome = (weight: Int, totals: SlowTotals)
    static let whole = 1_000_000_000_000

    func outcomes(_ request: SlowRouted) -> [Outcome] {
        let (slm, llm) = (request.slm, request.llm)
        let million = 1_000_000
        switch self {
        case .slm: return [(SlowRouter.whole, slm)]
        case .llm: return [(SlowRouter.whole, llm)]
        case .oracle: return [(SlowRouter.whole, llm.correct > slm.correct ? llm : slm)]
        case .threshold(let threshold, let unscored):
            return [(SlowRouter.whole, request.score.map { $0 >= threshold } ?? unscored ? llm : slm)]
        case .cascade(let accepts, let rejects):
            // A verdict between right and wrong is the probability of right.
            var (right, wrong) = (slm, slm)
            (right.correct, wrong.correct) = (million, 0)
            let both = SlowTotals(slm, then: llm)
            return [
                (slm.correct * (million - rejects), right), (slm.correct * rejects, both),
                ((million - slm.correct) * accepts, wrong),
                ((million - slm.correct) * (million - accepts), both),
            ]
        }
    }

    /// Whether everything that it does with a request is in the log, or was run beside it.
    func isKnown(_ request: SlowRouted) -> Bool {
        let (slm, llm) = (request.knowsSLM, request.knowsLLM)
        switch self {
        case .slm: return slm
        case .llm: return llm
        // Where the SLM is right, the LLM cannot be better.
        case .oracle: return request.isJudged && slm && (llm || request.slm.correct == 1_000_000)
        case .threshold(let threshold, _): return request.score.map { $0 >= threshold ? llm : slm } ?? false
        case .cascade(let accepts, let rejects):
            // How often the LLM is asked when the SLM is wrong, and when it is right.
            let ends = [1_000_000 - accepts, rejects]
            if !request.isJudged { return slm && ends[0] == ends[1] && (llm || ends[0] == 0) }
            let isNeverAsked =
                switch request.slm.correct {
                case 0: ends[0] == 0
                case 1_000_000: ends[1] == 0
                default: ends == [0, 0]
                }
            return slm && (llm || isNeverAsked)
        }
    }

    /// The expectation of every quantity and cost, times `whole`.
    func expected(_ request: SlowRouted) -> [Int128] {
        var sums = [Int128](repeating: 0, count: request.slm.values.count)
        for (weight, totals) in outcomes(request) {
            for (index, value) in totals.values.enumerated() { sums[index] += Int128(weight) * Int128(value) }
        }
        if !request.isJudged { sums[Quantity.correct.rawValue] = 0 }
        return sums
    }
}

/// Coins that send requests to the LLM.
enum SlowCoins {
    /// The mean over every way in which the coins of all requests can fall, each taken by itself: numerators and
    /// their denominator.
    static func thrown(_ requests: [SlowRouted], percent: Int) -> (sums: [Int128], whole: Int128) {
        var sums = [Int128](repeating: 0, count: Quantity.allCases.count + SlowTotals.costCount)
        let whole = requests.reduce(Int128(1)) { whole, _ in whole * 100 }
        for fall in 0..<1 << requests.count {
            var weight: Int128 = 1
            var totals = [Int](repeating: 0, count: sums.count)
            for (place, request) in requests.enumerated() {
                let isLLM = fall >> place & 1 == 1
                weight *= Int128(isLLM ? percent : 100 - percent)
                for (index, value) in (isLLM ? request.llm : request.slm).values.enumerated() { totals[index] += value }
            }
            for index in sums.indices { sums[index] += weight * Int128(totals[index]) }
        }
        return (sums, whole)
    }

    /// The same for one coin after the other, where there are too many digits for all of them.
    static func thrown(_ requests: [SlowRouted], _ heads: Int128, of all: Int128) -> (sums: [Int128], whole: Int128) {
        var sums = [Int128](repeating: 0, count: Quantity.allCases.count + SlowTotals.costCount)
        for request in requests {
            for (index, value) in request.llm.values.enumerated() { sums[index] += heads * Int128(value) }
            for (index, value) in request.slm.values.enumerated() { sums[index] += (all - heads) * Int128(value) }
        }
        return (sums, all)
    }
}
