internal import Accounting

/// What one policy of budgets did, in the order of arrival.
///
/// Requests are taken one after the other: a request is over before the next one comes. A call is granted what is left
/// of every budget that counts it; with nothing left it is refused, and the SLM goes on alone. A budget that rejects
/// refuses requests whole that come when it is used up. An answer of the LLM alone is served whole if it fits, and else
/// the SLM writes it.
struct BudgetReplay: Equatable {
    /// One budget in one of its windows.
    struct Period: Equatable {
        var requests = 0
        /// LLM tokens; two ends where a call that the log refused might have been made.
        var used = Extent.zero
        var refused = Extent.zero
        var degraded = Extent.zero
        /// Microseconds; when it was certainly used up.
        var exhausted: Int64?
        var burnDown: BurnDown

        init(_ window: BudgetRule.Window) { burnDown = BurnDown(window) }
    }

    struct Key: Hashable, Comparable {
        let tenant: String
        let rule: Int
        /// The window's first microsecond.
        let start: Int64

        static func < (left: Key, right: Key) -> Bool {
            if left.tenant != right.tenant { return left.tenant.utf8.lexicographicallyPrecedes(right.tenant.utf8) }
            return (left.rule, left.start) < (right.rule, right.start)
        }
    }

    /// A budget of a tenant keeps the course of so many windows, the last ones: two months of days.
    static let windowLimit = 62

    private struct Owner: Hashable {
        let tenant: String
        let rule: Int
    }

    let rules: [BudgetRule]
    private(set) var periods: [Key: Period] = [:]
    /// The windows whose course is kept, in order.
    private var kept: [Owner: [Int64]] = [:]

    init(_ rules: [BudgetRule]) { self.rules = rules }

    /// Replays a request and counts what it used.
    mutating func add(_ replay: RequestReplay) throws(SimulationError) -> ReplayedRequest {
        let request = replay.request
        var keys: [Key] = []
        var left = Extent(Extent.open)
        var mayReject = false
        var rejects = false
        for (index, rule) in rules.enumerated() where rule.tenant == nil || rule.tenant == request.tenant {
            let start = rule.window.start(of: request.arrived)
            let key = Key(tenant: request.tenant, rule: index, start: start)
            keys.append(key)
            let used = periods[key]?.used ?? .zero
            let tokens = Int128(rule.tokens)
            let rest = Extent(max(0, tokens - used.high), max(0, tokens - used.low))
            left = Extent(min(left.low, rest.low), min(left.high, rest.high))
            guard rule.onExhausted == .reject else { continue }
            if rest.high == 0 { rejects = true }
            if rest.low == 0 { mayReject = true }
        }
        guard !keys.isEmpty else { return replay.asLogged() }
        var result = rejects ? BudgetReplay.refused(replay) : try BudgetReplay.serve(replay, left.high)
        if !rejects, left.low != left.high || mayReject {
            let worst = mayReject ? BudgetReplay.refused(replay) : try BudgetReplay.serve(replay, left.low)
            result = BudgetReplay.between(worst, result, replay)
        }
        count(result, keys, request)
        return result
    }

    private mutating func count(_ result: ReplayedRequest, _ keys: [Key], _ request: LoggedRequest) {
        for key in keys {
            var period = periods[key] ?? Period(rules[key.rule].window)
            period.requests += 1
            period.used += result[.llmTokens]
            if keepsCourse(key) { period.burnDown.note(period.used, at: request.arrived.microseconds - key.start) }
            period.refused += result[.refused]
            period.degraded += result[.degraded]
            let limit = Int128(rules[key.rule].tokens)
            if period.exhausted == nil, period.used.low >= limit { period.exhausted = request.arrived.microseconds }
            periods[key] = period
        }
    }

    /// Whether a window is among the last of its budget; forgets the course of one that is no more.
    private mutating func keepsCourse(_ key: Key) -> Bool {
        let owner = Owner(tenant: key.tenant, rule: key.rule)
        var starts = kept[owner] ?? []
        if starts.last == key.start { return true }
        let place = starts.firstIndex { $0 >= key.start } ?? starts.count
        if place < starts.count, starts[place] == key.start { return true }
        // A window that was forgotten stays so.
        if periods[key] != nil { return false }
        starts.insert(key.start, at: place)
        var isKept = true
        if starts.count > BudgetReplay.windowLimit {
            let oldest = Key(tenant: key.tenant, rule: key.rule, start: starts.removeFirst())
            periods[oldest]?.burnDown.clear()
            isKept = oldest != key
        }
        kept[owner] = starts
        return isKept
    }

    /// With so many tokens left.
    private static func serve(_ replay: RequestReplay, _ left: Int128) throws(SimulationError) -> ReplayedRequest {
        guard left < Int128(LoggedRequest.tokenLimit) else { return replay.asLogged() }
        switch replay.request.writer {
        case .slm: return replay.asLogged()
        case .llm:
            let logged = replay.asLogged()
            if logged[.llmTokens].high <= left { return logged }
            var result = replay.slmOnly()
            result[.degraded] = Extent(1)
            return result
        case .relay, .prompted, .fixed:
            return try replay.replay { (range, used) throws(SimulationError) in
                try cut(replay, range, most: max(0, left - used.low), least: max(0, left - used.high))
            }
        }
    }

    /// Where an answer leaves the log with so many tokens left; two numbers where the answers before it may have used
    /// more or less.
    private static func cut(
        _ replay: RequestReplay, _ range: Range<Int>, most: Int128, least: Int128
    ) throws(SimulationError) -> AnswerCut? {
        let (request, limits) = (replay.request, replay.limits)
        let later = try request.cut(.answerTokens(Int(most)), range, limits: limits)
        guard least < most, let first = try request.cut(.answerTokens(Int(least)), range, limits: limits),
            first != later
        else { return later }
        // From the first call that may be cut or refused on, nothing is certain.
        let before = request.segments[range.lowerBound..<first.end]
        var cut = AnswerCut(end: first.end)
        cut.calls = 1 + limits.calls - before.count { $0.finish == .call }
        cut.callTokens = limits.callTokens
        cut.restTokens = Int(most) - before.reduce(0) { $0 + ($1.role == .llm ? $1.tokens : 0) }
        return cut
    }

    /// No answer: nothing is generated, and nothing is right.
    private static func refused(_ replay: RequestReplay) -> ReplayedRequest {
        var result = ReplayedRequest(costModels: replay.tables.count)
        result[.refused] = Extent(1)
        return result
    }

    /// Between the least and the most that may be left. LLM tokens and calls grow with what is left; what the SLM
    /// writes behind a cut is bounded by the whole log and what may follow the first cut.
    private static func between(
        _ worst: ReplayedRequest, _ best: ReplayedRequest, _ replay: RequestReplay
    ) -> ReplayedRequest {
        guard worst.values != best.values || worst.isReplayable != best.isReplayable else { return best }
        var result = best
        result.isReplayable = false
        result.unpriced |= worst.unpriced
        let logged = replay.asLogged()
        for index in result.values.indices {
            let (first, second) = (worst.values[index], best.values[index])
            let isCost = index >= Quantity.allCases.count
            let isOpenEnded = isCost || index == Quantity.slmTokens.rawValue
            let room = isOpenEnded ? logged.values[index] : .zero
            let most = (Extent(0, max(first.high, second.high)) + room).high
            result.values[index] = Extent(min(first.low, second.low), min(Extent.open, most))
        }
        if replay.verdict != nil { result[.correct] = Extent(0, 1_000_000) }
        result.close()
        return result
    }

    // MARK: Parts

    /// Adds the budgets of another part.
    ///
    /// - Throws: `SimulationError` when both parts served the same budget: its order is lost.
    mutating func merge(_ other: BudgetReplay) throws(SimulationError) {
        for (key, period) in other.periods {
            guard periods.updateValue(period, forKey: key) == nil else {
                throw SimulationError(
                    .partial, nil,
                    "cannot be merged: tenant \(key.tenant) is in two parts, and its budgets are used in the order of "
                        + "arrival. Make the parts with --shard, which keeps the requests of a tenant together")
            }
        }
        // The last windows of both are the last of the whole.
        for (owner, starts) in other.kept {
            let all = ((kept[owner] ?? []) + starts).sorted()
            for start in all.dropLast(BudgetReplay.windowLimit) {
                periods[Key(tenant: owner.tenant, rule: owner.rule, start: start)]?.burnDown.clear()
            }
            kept[owner] = all.suffix(BudgetReplay.windowLimit)
        }
    }

    func encode(_ writer: inout PartialWriter) {
        writer.put(periods.count)
        for (key, period) in periods.sorted(by: { $0.key < $1.key }) {
            writer.put(key.tenant)
            for value in [Int128(key.rule), Int128(key.start), Int128(period.requests)] { writer.put(value) }
            for extent in [period.used, period.refused, period.degraded] {
                for value in [extent.low, extent.high] { writer.put(value) }
            }
            writer.put(period.exhausted == nil ? 0 : 1)
            writer.put(Int128(period.exhausted ?? 0))
            period.burnDown.encode(&writer)
        }
    }

    init(_ reader: inout PartialReader, rules: [BudgetRule]) throws(SimulationError) {
        self.init(rules)
        for _ in 0..<(try reader.count()) {
            let tenant = try reader.text()
            let key = Key(tenant: tenant, rule: try reader.int(), start: Int64(try reader.int()))
            guard rules.indices.contains(key.rule) else { throw PartialReader.damaged }
            var period = Period(rules[key.rule].window)
            period.requests = try reader.int()
            period.used = Extent(try reader.number(), try reader.number())
            period.refused = Extent(try reader.number(), try reader.number())
            period.degraded = Extent(try reader.number(), try reader.number())
            let isExhausted = try reader.int() == 1
            let moment = Int64(try reader.int())
            if isExhausted { period.exhausted = moment }
            period.burnDown = try BurnDown(&reader)
            guard periods.updateValue(period, forKey: key) == nil else {
                throw PartialReader.damaged
            }
            if !period.burnDown.points.isEmpty {
                kept[Owner(tenant: tenant, rule: key.rule), default: []].append(key.start)
            }
        }
        for owner in kept.keys { kept[owner]?.sort() }
    }
}

extension BudgetRule.Window {
    /// The first microsecond of the window that holds a moment, in UTC.
    func start(of time: Timestamp) -> Int64 {
        switch self {
        case .hour: time.floor(hours: 1).microseconds
        case .day: time.floor(hours: 24).microseconds
        case .month: time.month().microseconds
        case .total: 0
        }
    }
}
