internal import Accounting
internal import Configuration
internal import HTTPServer
internal import Reactor
internal import RelayCore
internal import Wire

/// What a request has to pass between its key and its first token: the caller's rates, and budgets that reject.
/// *Loop thread.*
struct Admission {
    let core: LoopCore
    let request: InferenceRequest
    let model: PublicModel
    let caller: KeyIdentity
    let exchange: HTTPExchange

    /// Calls `next` with the reservation of the request's rates, or refuses the request by `refuse`. Both only while
    /// the caller is there.
    func admit(
        _ next: @escaping (consuming Reservation) -> Void, refuse: @escaping (WireError, [(String, String)]) -> Void
    ) {
        if let field = unboundedField { return refuse(.unsupported(field, Admission.unbounded), []) }
        let tokens = estimate
        let ask = ReservationAsk(tenant: caller.tenantID, key: caller.keyID, purpose: .request(tokens: tokens))
        reserve(ask) { answer in
            switch consume answer {
            case .refused(let reason):
                let (error, headers) = refusal(reason, tokens)
                refuse(error, headers)
            case .granted(let rates): probe(consume rates, next, refuse)
            }
        }
    }

    private static let unbounded =
        "a budget of this caller counts prompt tokens, and how many it makes cannot be known before it is sent."

    /// A field of the request whose tokens its bytes do not bound, where a budget counts prompts.
    private var unboundedField: String? {
        let budgets = core.budgets.budgets(tenant: caller.tenantID, key: caller.keyID)
        guard model.mayCall, budgets.contains(where: { $0.counts == .billed }) else { return nil }
        if let position = request.messages.firstIndex(where: \.hasNonText) { return "messages[\(position)].content" }
        return request.passthrough.first { ["chat_template", "chat_template_kwargs"].contains($0.name) }?.name
    }

    /// Everything that the request may use, prompts and both models' tokens, roughly: what a rate of tokens holds for
    /// it until its real use is known.
    private var estimate: Int {
        let limits = core.budgets.standing(tenant: caller.tenantID, key: caller.keyID)
        guard let limit = limits.lazy.filter({ $0.resource == .tokens }).map(\.amount).min() else { return 1 }
        // Who has not said how much he wants is not refused for what he might have meant.
        let answer = request.maxTokens ?? min(limit / 4, model.pair.slm.first?.configuration.maxTokens ?? 0)
        let (answers, overflow) = answer.multipliedReportingOverflow(by: request.choices)
        let (sum, carry) = answers.addingReportingOverflow((request.rawMessages.count + request.prompt.count) / 3)
        return overflow || carry ? Int.max : max(1, sum)
    }

    /// A budget that rejects when it is used up is asked before anything is done.
    private func probe(
        _ rates: consuming Reservation, _ next: @escaping (consuming Reservation) -> Void,
        _ refuse: @escaping (WireError, [(String, String)]) -> Void
    ) {
        let budgets = core.budgets.budgets(tenant: caller.tenantID, key: caller.keyID)
        guard model.mayCall, budgets.contains(where: { $0.onExhausted == .reject }) else { return next(rates) }
        let held = ReservationHolder(rates)
        let ask = ReservationAsk(tenant: caller.tenantID, key: caller.keyID, purpose: .probe)
        reserve(ask) { answer in
            guard let rates = held.take() else { return }
            switch consume answer {
            case .granted(let probe):
                probe.cancel()
                next(rates)
            case .refused(let reason):
                rates.cancel()
                let (error, headers) = refusal(reason, 1)
                refuse(error, headers)
            }
        }
    }

    private func reserve(_ ask: ReservationAsk, _ completion: @escaping (consuming ReservationAnswer) -> Void) {
        let bound = LoopBound((exchange, completion), on: core.loop)
        let now = core.budgets.reserve(ask, on: core.loop) { answer in
            let (exchange, completion) = bound.value
            guard exchange.isClosed else { return completion(answer) }
            if case .granted(let unused) = consume answer { unused.cancel() }
        }
        if let now { completion(now) }
    }

    // MARK: Refusals

    private func refusal(_ refusal: ReservationRefusal, _ tokens: Int) -> (WireError, [(String, String)]) {
        let error = Admission.error(refusal, tokens)
        let standing = Admission.standing(core.budgets.standing(tenant: caller.tenantID, key: caller.keyID))
        // What can never be granted is not to be tried again.
        return (error, standing + (error.status == 429 ? Admission.headers(refusal) : []))
    }

    /// The error of a refused reservation of `tokens`.
    static func error(_ refusal: ReservationRefusal, _ tokens: Int) -> WireError {
        guard refusal.reason == .exhausted, let budget = refusal.budget else {
            return .unavailable("The gateway cannot reach the database that keeps its budgets.")
        }
        let name = "'\(budget.name)' (\(budget.amount) \(budget.resource.words) \(budget.window.words))"
        if budget.resource == .llmTokens, refusal.needed > budget.amount {
            return .insufficientQuota(
                "The request needs \(refusal.needed) tokens of the budget \(name), more than it ever has: set a smaller "
                    + "'max_tokens', or shorten the prompt.", isOver: true,
                quota: .init(budget: budget.name, resetsAt: nil))
        }
        if budget.resource == .llmTokens {
            // Windows end at whole minutes; what is known of the end is a little early.
            let resetsAt = refusal.resetsIn.map { time in
                let seconds = (LoopCore.wallClock().microseconds + time.microseconds + 999_999) / 1_000_000
                return Timestamp(microseconds: seconds * 1_000_000).rfc3339
            }
            return .insufficientQuota(
                "The budget \(name) is used up.", isOver: resetsAt == nil,
                quota: .init(budget: budget.name, resetsAt: resetsAt))
        }
        if budget.resource == .tokens, tokens > budget.amount {
            return WireError(
                .invalidValue,
                "The request may use \(tokens) tokens, more than the limit \(name) ever allows. Ask for fewer "
                    + "with 'max_tokens', or shorten the prompt.", param: "max_tokens")
        }
        return .rateLimited("The limit \(name) is reached.")
    }

    /// When to come again.
    static func headers(_ refusal: ReservationRefusal) -> [(String, String)] {
        guard refusal.reason == .exhausted else { return [] }
        if refusal.budget?.resource == .concurrency { return [("retry-after", "1")] }
        if let amount = refusal.budget?.amount, refusal.needed > amount { return [] }
        guard let time = refusal.resetsIn else { return [] }
        return [("retry-after", String(max(1, (time.microseconds + 999_999) / 1_000_000)))]
    }

    /// How the caller's limits stand, as OpenAI's headers say it; of several budgets the tightest.
    static func standing(_ all: [BudgetStanding]) -> [(String, String)] {
        var headers: [(String, String)] = []
        for (resource, name) in [(Resource.requests, "requests"), (.tokens, "tokens"), (.llmTokens, "llm-tokens")] {
            let standing = all.filter { $0.resource == resource }
            guard let tightest = standing.min(by: { ($0.remaining ?? $0.amount) < ($1.remaining ?? $1.amount) }) else {
                continue
            }
            headers.append(("x-ratelimit-limit-" + name, String(tightest.amount)))
            if let remaining = tightest.remaining {
                headers.append(("x-ratelimit-remaining-" + name, String(remaining)))
            }
            if let time = tightest.resetsIn { headers.append(("x-ratelimit-reset-" + name, time.compact)) }
        }
        return headers
    }
}

/// Carries a reservation into a closure, which cannot consume what it captures.
final class ReservationHolder {
    private var content: Reservation?

    init(_ reservation: consuming Reservation) { content = consume reservation }

    func take() -> Reservation? { content.take() }
}

extension PublicModel {
    /// Whether an answer may need the LLM.
    var mayCall: Bool {
        if case .slm = policy { false } else { true }
    }
}

extension Resource {
    fileprivate var words: String {
        switch self {
        case .llmTokens: "LLM tokens"
        case .tokens: "tokens"
        case .requests: "requests"
        case .concurrency: "requests at a time"
        }
    }
}

extension BudgetWindow {
    fileprivate var words: String { self == .fixed ? "in all" : "a \(rawValue)" }
}

extension Duration {
    /// As OpenAI writes it: `350ms`, `12s`, `6m0s`, `25h0m0s`.
    var compact: String {
        if self < .seconds(1) { return "\(max(1, microseconds / 1000))ms" }
        let seconds = Int((microseconds + 999_999) / 1_000_000)
        let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60)
        if hours > 0 { return "\(hours)h\(minutes)m\(rest)s" }
        return minutes > 0 ? "\(minutes)m\(rest)s" : "\(rest)s"
    }
}
