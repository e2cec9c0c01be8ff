/// The paper's headline under other ways to count cost.
extension PaperDerivation {
    package struct CostModelRow: Sendable, Equatable {
        package let name: String
        package let title: String
        package let relay: Number
        package let matchedRandom: Number
        package let reduction: Number
    }

    package struct BillRow: Sendable, Equatable {
        package let meanCallTokens: Int
        package let bill: RelayBillModel.Row
        package let reduction: Number?
    }

    /// Of RelayLLM and the random router of the same accuracy: LLM tokens as the paper counts, and activated
    /// parameters for each generated token in billions (R2R; 1.7 and 8), which also count the SLM's work.
    package func costModels() throws(SimulationError) -> [CostModelRow] {
        guard let ratio = relay.callRatio, case .matched(let share) = try comparison(relay).match else { return [] }
        let (slm, llm) = (Number.ratio(17, 10), Number.whole(8))
        func parameters(_ share: Number) -> Number { slm + share * (llm - slm) }
        let models = [
            ("llm_tokens_only", "LLM-generated tokens (paper)", ratio, share),
            (
                "activated_parameters_decode", "billions of activated parameters for each token (R2R)",
                parameters(ratio), parameters(share)
            ),
        ]
        return models.compactMap { name, title, relay, random in
            relay.divided(by: random).map {
                CostModelRow(name: name, title: title, relay: relay, matchedRandom: random, reduction: .one - $0)
            }
        }
    }

    /// What RelayLLM's call ratio costs when each call bills its prompt, by the mean length of a call.
    ///
    /// Assumed, as the paper does not say: a prompt of 120 tokens, an answer of 800, 520 before a call in the mean,
    /// output at four times the price of input, no cache.
    package func bills() throws(SimulationError) -> [BillRow] {
        let model = RelayBillModel(
            prompt: .whole(120), answer: .whole(800), context: .whole(520), outputPrice: .whole(4))
        guard let ratio = relay.callRatio else { return [] }
        let match = try comparison(relay).match
        return [5, 20, 50, 100, 500].compactMap { tokens in
            model.row(callRatio: ratio, meanCallTokens: .whole(Int128(tokens))).map {
                BillRow(meanCallTokens: tokens, bill: $0, reduction: match.reduction(llmShare: $0.share))
            }
        }
    }
}
