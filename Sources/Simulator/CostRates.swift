internal import Accounting

/// What a token of one model costs under one cost model, in the unit of that model.
struct CostRates: Equatable {
    var input: Int128
    var cached: Int128
    /// Nil: writing to the cache costs what reading the prompt costs.
    var write: Int128?
    var output: Int128
    var request: Int128

    /// The dearest that a prompt token can be.
    var highestInput: Int128 { max(input, cached, write ?? input) }
    var lowestInput: Int128 { min(input, cached, write ?? input) }

    /// The cost of one generation.
    func cost(input tokens: Int, cached read: Extent, written: Int, output generated: Extent) -> Extent {
        let total = Int128(tokens)
        let writes = min(Int128(written), total)
        let writing = writes * ((write ?? input) - input)
        let least = min(read.low, total - writes)
        let most = min(read.high, total - writes)
        // A cached token may be dearer than another only in a strange table; the ends are then the other way round.
        let ends = [least, most].map { (total - $0) * input + $0 * cached + writing }
        return Extent(min(ends[0], ends[1]), max(ends[0], ends[1])) + generated * output + Extent(request)
    }

    /// The cost of one generation where nobody said what of the prompt was read from a cache or written to it.
    func cost(input tokens: Int, output generated: Extent) -> Extent {
        Extent(Int128(tokens) * lowestInput, Int128(tokens) * highestInput) + generated * output + Extent(request)
    }

    /// The cost of the first generation of an answer, without what it writes. Whether an earlier request left its
    /// prompt in the cache, no rule but "as reported" asks.
    func first(input tokens: Int, _ cache: CacheAssumption) -> Extent {
        switch cache {
        case .reported: cost(input: tokens, output: .zero)
        case .rule(let rule): cost(input: tokens, cached: .zero, written: rule.cacheable(tokens), output: .zero)
        case .none, .perfect: cost(input: tokens, cached: .zero, written: 0, output: .zero)
        }
    }
}

/// A cost model made ready: what a generation costs by role, name of the model and time.
struct CostTable {
    /// Parts of a billion parameters that are counted, so that sums are whole.
    static let parameterScale = 1_000_000

    let model: CostModel
    let cache: CacheAssumption
    private let prices: [String: [ModelPrice]]
    private let fixed: (slm: CostRates, llm: CostRates)?
    let isRecorded: Bool

    init(_ model: CostModel) {
        self.model = model
        var prices: [String: [ModelPrice]] = [:]
        var cache = CacheAssumption.none
        var fixed: (slm: CostRates, llm: CostRates)?
        func flat(_ input: Int128, _ output: Int128) -> CostRates {
            CostRates(input: input, cached: input, write: nil, output: output, request: 0)
        }
        switch model.basis {
        case .recorded: break
        case .prices(let list, let assumption):
            cache = assumption
            for price in list { prices[price.model, default: []].append(price) }
            for name in prices.keys { prices[name]?.sort { $0.from < $1.from } }
        case .parameters(let slm, let llm):
            fixed = (flat(0, CostTable.scaled(slm)), flat(0, CostTable.scaled(llm)))
        case .generatedTokens: fixed = (flat(0, 1), flat(0, 1))
        case .billedTokens: fixed = (flat(1, 1), flat(1, 1))
        }
        self.prices = prices
        self.cache = cache
        self.fixed = fixed
        isRecorded = if case .recorded = model.basis { true } else { false }
    }

    private static func scaled(_ billions: Double) -> Int128 {
        let scaled = (billions * Double(parameterScale)).rounded()
        return scaled.isFinite && scaled >= 0 ? Int128(min(scaled, 1e15)) : 0
    }

    /// What the total is counted in.
    var unit: Unit {
        switch model.basis {
        case .recorded, .prices: .picoDollars
        case .parameters: .billionParameters
        case .generatedTokens, .billedTokens: .tokens
        }
    }

    /// What the sum is to be divided by to be in `unit`.
    var scale: Int128 {
        if case .parameters = model.basis { return Int128(CostTable.parameterScale) }
        return 1
    }

    /// The rates of a model; nil when there is no price for it at that time.
    func rates(_ role: LoggedSegment.Role, model name: String?, at time: Timestamp) -> CostRates? {
        if let fixed { return role == .slm ? fixed.slm : fixed.llm }
        let list = name.flatMap { prices[$0] } ?? prices[role == .slm ? "slm" : "llm"]
        guard let price = list?.last(where: { $0.from <= time }) else { return nil }
        return CostRates(
            input: Int128(price.input), cached: Int128(price.cachedInput ?? price.input),
            write: price.cacheWrite.map { Int128($0) }, output: Int128(price.output), request: Int128(price.request))
    }

    /// How many prompt tokens of a segment came from a cache, and how many were written to it.
    ///
    /// - Parameter left: what the generation before it of the same model in the same answer left there.
    func cached(_ segment: LoggedSegment, input: Int, _ left: PromptCache) -> (read: Extent, written: Int) {
        let shared = min(input, left.tokens)
        switch cache {
        case .none: return (.zero, 0)
        case .reported:
            guard let cached = segment.cachedTokens else { return (Extent(0, Int128(input)), 0) }
            return (Extent(min(cached, input)), segment.cacheWriteTokens ?? 0)
        case .perfect: return (Extent(shared), 0)
        case .rule(let rule):
            let age = segment.startedMicroseconds - left.end
            let isKept = rule.timeToLiveMilliseconds.map { Int128(age) <= Int128($0) * 1000 } ?? true
            let read = isKept ? rule.cacheable(shared) : 0
            return (Extent(read), max(0, rule.cacheable(input) - read))
        }
    }
}

/// What a generation leaves in its server's cache: its prompt and its text, and when it ended, from the arrival.
struct PromptCache {
    var tokens = 0
    var end: Int64 = 0
}

extension CacheRule {
    /// The longest part of a prefix that the cache holds.
    func cacheable(_ tokens: Int) -> Int {
        tokens < minimum ? 0 : tokens / max(1, step) * max(1, step)
    }
}
