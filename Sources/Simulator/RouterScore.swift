/// Scores of routers from how often they are right and what they cost: CostSave (LLMRouterBench) and the score of
/// RouterArena.
enum RouterScore {
    /// RouterArena's dearest and cheapest bill of 1,000 requests, in dollars, and the weight of the cost.
    static let dearest = 200.0
    static let cheapest = 0.0044
    static let weight = 0.1

    /// Of some requests: how often answers are right, and pico-dollars for 1,000 requests.
    struct Bill: Equatable {
        var accuracy: Number
        var cost: Number
    }

    /// The more accurate of two models alone; of equals the cheaper.
    static func best(_ slm: Bill, _ llm: Bill) -> Bill {
        if slm.accuracy == llm.accuracy { return llm.cost < slm.cost ? llm : slm }
        return slm.accuracy > llm.accuracy ? slm : llm
    }

    /// CostSave at one point: 1 − cost / cost of the best single model, where it is as accurate as that. Below 0 is
    /// possible. LLMRouterBench takes the largest over a router's points.
    ///
    /// - Parameter best: nil where a bill of either model alone is not known.
    /// - Returns: the cell, and why there is none where it is known that it does not apply.
    static func costSave(_ bill: Bill, best: Bill?) -> (cell: Table.Cell, note: String) {
        guard let best else {
            let reason = "the bill of the SLM or of the LLM alone is not known, so that the best single model's is not"
            return (.finding(.unknown(.share, reason: reason)), "")
        }
        guard bill.accuracy >= best.accuracy else {
            return (.none, "no CostSave: less accurate than the best single model")
        }
        guard let part = bill.cost.divided(by: best.cost) else {
            return (.none, "no CostSave: the best single model costs nothing")
        }
        return (.finding(.exact(.one - part, .share)), "")
    }

    /// RouterArena's C and S: C = (log2 c_max − log2 c) / (log2 c_max − log2 c_min), S = (1+β)·A·C / (β·A + C).
    ///
    /// - Returns: unknown outside of c_min to c_max, where C would be no share; nothing is clamped.
    static func arena(_ bill: Bill) -> (cost: Finding, score: Finding) {
        let dollars = bill.cost.double * 1e-12
        guard dollars >= cheapest, dollars <= dearest else {
            let unknown = Finding.unknown(
                .ratio,
                reason: "a bill of $\(Decimals.text(bill.cost * .ratio(1, 1_000_000_000_000), decimals: 6)) for 1,000 "
                    + "requests lies outside of RouterArena's range of $0.0044 to $200: no score")
            return (unknown, unknown)
        }
        let top = binaryLogarithm(dearest)
        let part = (top - binaryLogarithm(dollars)) / (top - binaryLogarithm(cheapest))
        let accuracy = bill.accuracy.double
        let divisor = weight * accuracy + part
        let score =
            divisor == 0
            ? Finding.unknown(.ratio, reason: "undefined for a router that is never right at the dearest bill")
            : .exact(.real((1 + weight) * accuracy * part / divisor), .ratio)
        return (.exact(.real(part), .ratio), score)
    }

    /// log2 of a positive number, from additions, multiplications and divisions alone, so that it is the same on every
    /// machine: the exponent, and 2·artanh((m−1)/(m+1))/ln 2 of the significand.
    static func binaryLogarithm(_ value: Double) -> Double {
        var (exponent, significand) = (Double(value.exponent), value.significand)
        if significand > 1.4142135623730951 {
            significand /= 2
            exponent += 1
        }
        let ratio = (significand - 1) / (significand + 1)
        // |ratio| < 0.172: the 13th term is below 2^-64.
        var (power, sum) = (ratio, 0.0)
        for odd in stride(from: 1.0, through: 25, by: 2) {
            sum += power / odd
            power *= ratio * ratio
        }
        return exponent + 2 * sum / 0.6931471805599453
    }

    // MARK: In a report

    /// A line: a router on some requests, beside the better model alone on the same.
    struct Row {
        var policy: String
        /// Of what requests.
        var basis: String
        /// Nil with a reason why there is no score.
        var bill: Bill?
        /// Nil where a bill of either model alone is not known.
        var best: Bill?
        var note = ""
    }

    static func section(_ rows: [Row], notes: [String]) -> Section {
        let columns = [
            Table.Column("policy", "policy"), Table.Column("basis", "requests"),
            Table.Column("accuracy", "accuracy", decimals: 6),
            Table.Column("cost", "cost of 1,000", decimals: 6),
            Table.Column("cost_save", "CostSave", decimals: 6),
            Table.Column("arena_cost", "C (RouterArena)", decimals: 6),
            Table.Column("arena_score", "S (RouterArena)", decimals: 6), Table.Column("note", "note"),
        ]
        let cells = rows.map { row -> [Table.Cell] in
            guard let bill = row.bill else {
                let unknown = Table.Cell.finding(.unknown(.ratio, reason: row.note))
                return [.text(row.policy), .text(row.basis), .none, .none, unknown, unknown, unknown, .text(row.note)]
            }
            let arena = arena(bill)
            let save = costSave(bill, best: row.best)
            return [
                .text(row.policy), .text(row.basis), .exact(bill.accuracy, .share), .exact(bill.cost, .picoDollars),
                save.cell, .finding(arena.cost), .finding(arena.score),
                .text([row.note, save.note].filter { !$0.isEmpty }.joined(separator: "; ")),
            ]
        }
        return Section(
            name: "router_scores", title: "Cost and accuracy in one number", notes: notes,
            table: Table(columns: columns, rows: cells))
    }

    /// Of a threshold that was chosen, on the requests that are held out.
    static func rows(_ table: HeldOutTable) -> [Row] {
        table.results.compactMap { result in
            guard let routed = result.heldOut else { return nil }
            return row(result.row.policy, "held out", routed, "chosen on other requests")
        }
    }

    /// Of a threshold on the requests of a part.
    static func row(_ policy: String, _ basis: String, _ routed: ScoredPart.Routed, _ note: String) -> Row {
        var row = Row(policy: policy, basis: basis, note: note)
        func bill(_ accuracy: Number?, _ cost: (low: Number, high: Number)?) -> Bill? {
            guard let accuracy, let cost, cost.low == cost.high else { return nil }
            return Bill(accuracy: accuracy, cost: cost.low)
        }
        row.bill = bill(routed.accuracy, routed.cost)
        guard row.bill != nil else {
            row.note =
                routed.total.usable == 0
                ? "no request is held out"
                : routed.total.unpriced > 0
                    ? "\(routed.total.unpriced) requests have no price or no known cost: no score"
                    : "the cost is not exact: no score"
            return row
        }
        if let slm = bill(routed.slmAccuracy, routed.cost(of: routed.total.slm)),
            let llm = bill(routed.llmAccuracy, routed.cost(of: routed.total.llm))
        {
            row.best = best(slm, llm)
        }
        return row
    }
}
