/// CostSave and RouterArena's score, on the requests whose answers by both models alone are known.
extension TraceSimulation {
    /// Nil without prices.
    func scoreSection(_ answers: [PolicyAnswer], _ sums: GroupSums, _ heldOut: HeldOutTable?) -> Section? {
        guard let money = plan.money else { return nil }
        let alone = [ReplayPlan.slmOnly, ReplayPlan.llmOnly].map { bill(totals($0, sums, paired: true), money) }
        let best = alone[0].bill.flatMap { slm in alone[1].bill.map { RouterScore.best(slm, $0) } }
        var rows = answers.compactMap { answer -> RouterScore.Row? in
            let totals: PolicyTotals
            if let leaf = answer.leaf, !plan.leaves[leaf].isOrdered {
                totals = self.totals(leaf, sums, paired: true)
            } else if answer.isPaired, let own = answer.totals {
                totals = own
            } else {
                return nil
            }
            let (bill, reason) = bill(totals, money)
            let isOracle = answer.counterfactual == .oracleRouter
            return RouterScore.Row(
                policy: answer.name, basis: "both models known", bill: bill, best: best,
                note: bill == nil ? reason : isOracle ? "a bound: it knows which answers are right" : "")
        }
        if let heldOut { rows += RouterScore.rows(heldOut) }
        return RouterScore.section(
            rows,
            notes: [
                "On the \(paired) requests whose answers by both models alone are known, priced by "
                    + "\(plan.tables[money].model.name). The best single model is the more accurate of the two.",
                "Where a request has no price there is no score: left out of the bill alone, it would make a router cheaper.",
            ])
    }

    /// Nil with a reason where accuracy or cost is not exact.
    private func bill(_ totals: PolicyTotals, _ money: Int) -> (bill: RouterScore.Bill?, reason: String) {
        guard totals.unpriced[money] == 0 else {
            return (nil, "\(totals.unpriced[money]) requests have no price or no prompt count: no score")
        }
        guard let accuracy = totals.accuracy?.exact else { return (nil, "the accuracy is not exact: no score") }
        guard let cost = totals[cost: money].exact,
            let each = (cost * .whole(1000)).divided(by: .whole(Int128(totals.requests)))
        else { return (nil, "the cost is not exact: no score") }
        return (RouterScore.Bill(accuracy: accuracy, cost: each), "")
    }
}
