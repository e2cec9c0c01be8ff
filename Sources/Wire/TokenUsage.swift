/// Token counts of one generation or of a whole answer.
package struct TokenUsage: Equatable, Sendable {
    /// Tokens of the prompt, those found in a prefix cache included.
    package var prompt: Int
    /// Generated tokens.
    package var completion: Int
    /// Tokens of the prompt that a prefix cache held; nil when the server does not say.
    package var cachedPrompt: Int?

    /// Creates counts.
    package init(prompt: Int, completion: Int, cachedPrompt: Int? = nil) {
        self.prompt = prompt
        self.completion = completion
        self.cachedPrompt = cachedPrompt
    }

    /// Prompt and completion together, at most `Int.max`.
    package var total: Int {
        let (sum, overflow) = prompt.addingReportingOverflow(completion)
        return overflow ? Int.max : sum
    }
}

extension TokenUsage {
    /// The largest count that is believed: 2^53, up to which every JSON reader agrees on an integer.
    package static let countLimit = 1 << 53

    /// Appends OpenAI's `usage` object.
    package func append(to bytes: inout [UInt8]) {
        bytes.append(json: #"{"prompt_tokens":"#)
        bytes.append(jsonInteger: prompt)
        bytes.append(json: #","completion_tokens":"#)
        bytes.append(jsonInteger: completion)
        bytes.append(json: #","total_tokens":"#)
        bytes.append(jsonInteger: total)
        if let cachedPrompt {
            bytes.append(json: #","prompt_tokens_details":{"cached_tokens":"#)
            bytes.append(jsonInteger: cachedPrompt)
            bytes.append(json: "}")
        }
        bytes.append(json: "}")
    }
}
