/// A message of a chat as the fake reads it.
struct FakeMessage: Equatable {
    var role: String
    var content: [UInt8]
}

/// ChatML, the template of the models that the fake stands for.
enum ChatTemplate {
    /// The prompt of a chat. `continuesLast` leaves the last message open instead of beginning a new turn.
    static func render(_ messages: [FakeMessage], continuesLast: Bool) -> [UInt8] {
        var prompt: [UInt8] = []
        for (index, message) in messages.enumerated() {
            prompt.append(contentsOf: "<|im_start|>\(message.role)\n".utf8)
            prompt.append(contentsOf: message.content)
            if continuesLast, index == messages.count - 1 { return prompt }
            prompt.append(contentsOf: "<|im_end|>\n".utf8)
        }
        prompt.append(contentsOf: "<|im_start|>assistant\n".utf8)
        return prompt
    }
}
