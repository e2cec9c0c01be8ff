/// Prices of the two models in pico-dollars for one token: 600,000 is $0.60 for a million.
package struct PairPrices: Sendable, Equatable {
    package var slmInput: Int
    package var slmOutput: Int
    package var llmInput: Int
    package var llmOutput: Int

    package init(slmInput: Int, slmOutput: Int, llmInput: Int, llmOutput: Int) {
        self.slmInput = slmInput
        self.slmOutput = slmOutput
        self.llmInput = llmInput
        self.llmOutput = llmOutput
    }
}

/// What each request of a pair table costs with either model, in whole numbers of one unit.
package struct PairCosts: Sendable, Equatable {
    /// The models' verdicts and costs of one request.
    package struct Entry: Sendable, Equatable {
        package var slmCorrect: Bool
        package var llmCorrect: Bool
        package var slm: Int128
        package var llm: Int128
    }

    package let entries: [Entry]
    /// All requests with one model.
    package let slmTotal: Int128
    package let llmTotal: Int128

    package init(_ entries: [Entry]) {
        self.entries = entries
        slmTotal = entries.reduce(0) { $0 + $1.slm }
        llmTotal = entries.reduce(0) { $0 + $1.llm }
    }

    /// Without prices: one for each answer of the LLM.
    init(countingCalls table: PairTable) {
        self.init(table.rows.map { Entry(slmCorrect: $0.slmCorrect, llmCorrect: $0.llmCorrect, slm: 0, llm: 1) })
    }

    /// In pico-dollars: prompt · input + answer · output. One prompt count serves both models.
    package init(_ table: PairTable, prices: PairPrices) {
        self.init(
            table.rows.map { row in
                let prompt = Int128(row.promptTokens)
                return Entry(
                    slmCorrect: row.slmCorrect, llmCorrect: row.llmCorrect,
                    slm: prompt * Int128(prices.slmInput) + Int128(row.slmTokens) * Int128(prices.slmOutput),
                    llm: prompt * Int128(prices.llmInput) + Int128(row.llmTokens) * Int128(prices.llmOutput))
            })
    }

    /// The expected cost of a random router: linear in its share.
    package func random(share: Number) -> Number {
        .whole(slmTotal) + share * .whole(llmTotal - slmTotal)
    }

    /// The least that the oracle's answers cost: the cheaper of the models that are right.
    ///
    /// - Parameter payingForWrong: where none is right, LLMRouterBench pays for the cheaper model, RouterBench nothing.
    package func cheapestCorrect(payingForWrong: Bool) -> Int128 {
        entries.reduce(0) { sum, entry in
            switch (entry.slmCorrect, entry.llmCorrect) {
            case (true, true): sum + min(entry.slm, entry.llm)
            case (true, false): sum + entry.slm
            case (false, true): sum + entry.llm
            case (false, false): sum + (payingForWrong ? min(entry.slm, entry.llm) : 0)
            }
        }
    }

    /// A point of the oracle that knows prices.
    package struct FrontierPoint: Sendable, Equatable {
        /// Requests sent to the LLM, all of which only it gets right.
        package var fixed: Int
        package var accuracy: Number
        package var cost: Int128
    }

    /// Requests that only the LLM gets right, cheapest first, as long as what they add to the SLM's bill stays within
    /// each share of the difference between the two bills. In money another order is best than in calls.
    package func frontier(shares: [Number]) -> [FrontierPoint] {
        let extras = entries.filter { !$0.slmCorrect && $0.llmCorrect }.map { $0.llm - $0.slm }.sorted()
        let correct = entries.count { $0.slmCorrect }
        return shares.map { share in
            let budget = share * .whole(llmTotal - slmTotal)
            var (spent, fixed): (Int128, Int) = (0, 0)
            for extra in extras {
                guard Number.whole(spent + extra) <= budget else { break }
                spent += extra
                fixed += 1
            }
            return FrontierPoint(
                fixed: fixed, accuracy: Number.quotient(correct + fixed, entries.count) ?? .zero,
                cost: slmTotal + spent)
        }
    }

    /// The SLM answers, a judge looks, and the LLM answers what the judge calls wrong.
    ///
    /// - Parameters:
    ///   - falseAccept: how often the judge accepts a wrong answer.
    ///   - falseReject: how often it rejects a right one.
    /// - Returns: expected values. The judge's own cost is not in them.
    package func cascade(falseAccept: Number, falseReject: Number) -> Cascade {
        var counts = PairCounts()
        var (right, wrong): (Int128, Int128) = (0, 0)
        for entry in entries {
            counts.add(slm: entry.slmCorrect, llm: entry.llmCorrect)
            if entry.slmCorrect { right += entry.llm } else { wrong += entry.llm }
        }
        let caught = Number.one - falseAccept
        func whole(_ count: Int) -> Number { .whole(Int128(count)) }
        let correct =
            whole(counts.both) + (.one - falseReject) * whole(counts.slmOnly) + caught * whole(counts.llmOnly)
        return Cascade(
            accuracy: correct.divided(by: whole(counts.requests)) ?? .zero,
            llmCalls: falseReject * whole(counts.slmCorrect) + caught * whole(counts.requests - counts.slmCorrect),
            cost: .whole(slmTotal) + falseReject * .whole(right) + caught * .whole(wrong))
    }

    package struct Cascade: Sendable, Equatable {
        package let accuracy: Number
        package let llmCalls: Number
        package let cost: Number
    }
}
