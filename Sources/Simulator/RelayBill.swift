/// What the LLM calls of a request cost when a server bills prompts: every call sends the prompt and all visible text
/// before it again, so that the number of calls drives the bill and not the number of LLM tokens.
package struct RelayBill: Sendable, Equatable {
    /// One call to the LLM, in tokens.
    package struct Call: Sendable, Equatable {
        /// Prompt and visible text before the call.
        package var input: Int
        package var output: Int
        /// The part of the input that begins as an earlier call of the request did, with its output.
        package var reusable: Int

        package init(input: Int, output: Int, reusable: Int) {
            self.input = input
            self.output = output
            self.reusable = reusable
        }
    }

    /// Prices of one token, in any one unit.
    package struct Prices: Sendable, Equatable {
        package var input: Number
        package var cachedInput: Number
        package var output: Number

        package init(input: Number, cachedInput: Number, output: Number) {
            self.input = input
            self.cachedInput = cachedInput
            self.output = output
        }
    }

    package let inputTokens: Int
    package let cachedTokens: Int
    package let outputTokens: Int

    /// - Parameter rule: nil when nothing is cached.
    package init(_ calls: [Call], cache rule: CacheRule?) {
        inputTokens = calls.reduce(0) { $0 + $1.input }
        outputTokens = calls.reduce(0) { $0 + $1.output }
        cachedTokens = calls.reduce(0) { sum, call in
            guard let rule, call.reusable >= rule.minimum else { return sum }
            return sum + call.reusable / max(1, rule.step) * max(1, rule.step)
        }
    }

    /// (input − cached) · input price + cached · cached price + output · output price.
    package func cost(_ prices: Prices) -> Number {
        .whole(Int128(inputTokens - cachedTokens)) * prices.input
            + .whole(Int128(cachedTokens)) * prices.cachedInput
            + .whole(Int128(outputTokens)) * prices.output
    }
}

/// The same in the mean, for published rows that have a call ratio and no requests.
package struct RelayBillModel: Sendable, Equatable {
    /// Tokens of the prompt, tokens of the answer, and tokens before a call in the mean.
    package var prompt: Number
    package var answer: Number
    package var context: Number
    /// The price of an output token in input tokens.
    package var outputPrice: Number

    package init(prompt: Number, answer: Number, context: Number, outputPrice: Number) {
        self.prompt = prompt
        self.answer = answer
        self.context = context
        self.outputPrice = outputPrice
    }

    package struct Row: Sendable, Equatable {
        package let calls: Number
        package let prefill: Number
        /// Of what the LLM alone would cost.
        package let share: Number
        /// `share` over the call ratio.
        package let multiple: Number
    }

    /// Nil when calls have no tokens or nothing is called.
    package func row(callRatio: Number, meanCallTokens: Number) -> Row? {
        let tokens = callRatio * answer
        let alone = prompt + answer * outputPrice
        guard let calls = tokens.divided(by: meanCallTokens),
            let share = (calls * context + tokens * outputPrice).divided(by: alone),
            let multiple = share.divided(by: callRatio)
        else { return nil }
        return Row(calls: calls, prefill: calls * context, share: share, multiple: multiple)
    }
}
