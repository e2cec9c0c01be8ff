/// Which of a pair's models the fake plays.
enum ModelRole: String, CaseIterable, Sendable { case slm, llm }

/// A language model without weights: the next token is a function of a hash of the text before it, so the same prompt
/// always has the same continuation, whatever the requests it is asked for in.
///
/// The hash covers the role, the seed and the whole prompt. The SLM writes commands now and then, some of them
/// malformed, zero or huge.
struct HashModel {
    private static let offset: UInt64 = 0xCBF2_9CE4_8422_2325
    private static let prime: UInt64 = 0x0000_0100_0000_01B3

    /// Where an assistant's turn begins, in the templates that the fake knows.
    static let markers: [[UInt8]] = [
        "<|im_start|>assistant\n", "<|start_header_id|>assistant<|end_header_id|>\n\n", "\nAssistant:", "\nAnswer:",
    ].map { Array($0.utf8) }

    private var hash = HashModel.offset
    /// What was written since the last `<`, while it may still become a command.
    private var tag: [UInt8] = []
    /// What was written of a character of four bytes.
    private var partial: [UInt8] = []
    private let writesCommands: Bool
    private let writesMalformed: Bool
    private let isExpert: Bool

    init(role: ModelRole, seed: Int, prompt: [UInt8], commandsForbidden: Bool, writesMalformed: Bool = true) {
        isExpert = role == .llm
        writesCommands = role == .slm && !commandsForbidden
        self.writesMalformed = writesMalformed
        for byte in role.rawValue.utf8 { mix(byte) }
        for shift in 0..<8 { mix(UInt8(truncatingIfNeeded: seed >> (8 * shift))) }
        let start = HashModel.turnStart(prompt)
        for byte in prompt[..<start] { mix(byte) }
        for byte in prompt[start...] { append(byte) }
        partial = []
        // A tag that the other model began is nothing to go on with for a model that writes whole commands only.
        if !writesMalformed { tag = [] }
    }

    /// Where the text after the last marker begins; 0 when there is no marker.
    static func turnStart(_ prompt: [UInt8]) -> Int {
        var best = 0
        for marker in markers {
            var start = prompt.count - marker.count
            while start >= 0, start + marker.count > best {
                if prompt[start] == marker[0], prompt[start..<start + marker.count].elementsEqual(marker) {
                    best = start + marker.count
                    break
                }
                start -= 1
            }
        }
        return best
    }

    /// The next token; nil when the model ends its answer.
    mutating func next() -> [UInt8]? {
        let token = choose()
        for byte in token ?? [] { append(byte) }
        return token
    }

    private mutating func mix(_ byte: UInt8) {
        hash = (hash ^ UInt64(byte)) &* HashModel.prime
    }

    private mutating func append(_ byte: UInt8) {
        mix(byte)
        if byte == UInt8(ascii: "<") {
            tag = [byte]
        } else if !tag.isEmpty {
            tag.append(byte)
            if tag.count > 32 { tag = [] }
        }
        if byte >= 0xF0 { partial = [byte] } else if !partial.isEmpty { partial.append(byte) }
        if partial.count == 4 { partial = [] }
    }

    /// The hash spread over all its bits: FNV-1a mixes the last bytes into the upper bits too little.
    private var draw: UInt64 {
        var value = hash
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }

    private func choose() -> [UInt8]? {
        let draw = self.draw
        if !partial.isEmpty { return [Vocabulary.smile[partial.count]] }
        if writesCommands, !tag.isEmpty, let token = commandToken(draw) { return token }
        let endsIn: UInt64 = isExpert ? 96 : 64
        if draw % endsIn == 0 { return nil }
        let kind = (draw >> 16) % 128
        if kind < (isExpert ? 1 : 8) { return writesCommands || isExpert ? Vocabulary.less : Vocabulary.comma }
        if kind == 8 { return writesCommands && writesMalformed || isExpert ? Vocabulary.close : Vocabulary.comma }
        return Vocabulary.words[Int((draw >> 24) % UInt64(Vocabulary.words.count))]
    }

    /// The next token of a command that has been begun; nil when none has or it goes on as ordinary text.
    private func commandToken(_ draw: UInt64) -> [UInt8]? {
        let odds = (draw >> 8) % 64
        if tag == Vocabulary.less { return odds < 60 || !writesMalformed ? Vocabulary.call : nil }
        if tag == Vocabulary.close { return odds < 60 || !writesMalformed ? Vocabulary.call : nil }
        if tag.count == 5, tag.elementsEqual(Vocabulary.openStart) { return Vocabulary.greater }
        if tag.count == 6, tag.elementsEqual(Vocabulary.closeStart) { return Vocabulary.greater }
        guard tag.count >= 6, tag[..<6].elementsEqual(Vocabulary.open) else { return nil }
        let digits = tag.count - 6
        guard tag[6...].allSatisfy({ $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }) else {
            return odds < 32 ? Vocabulary.close : nil
        }
        let digit = [UInt8(ascii: "0") + UInt8((draw >> 40) % 10)]
        switch digits {
        case 0:
            if odds == 2 { return Vocabulary.zero }
            guard writesMalformed, odds < 2 else { return digit }
            return odds == 0 ? Vocabulary.close : nil
        case 1: return odds < 40 && tag[6] != UInt8(ascii: "0") ? digit : Vocabulary.close
        case 2: return odds < 3 ? digit : Vocabulary.close
        case 3..<22: return odds < 48 ? digit : Vocabulary.close
        default: return Vocabulary.close
        }
    }
}

/// What the hash model writes.
enum Vocabulary {
    static let less = Array("<".utf8)
    static let close = Array("</".utf8)
    static let call = Array("call".utf8)
    static let greater = Array(">".utf8)
    static let comma = Array(",".utf8)
    static let zero = Array("0".utf8)
    static let open = Array("<call>".utf8)
    static let openStart = Array("<call".utf8)
    static let closeStart = Array("</call".utf8)
    static let smile = Array("🙂".utf8)

    /// Ordinary tokens; a smile is begun by its first byte.
    static let words: [[UInt8]] =
        [
            " the", " a", " number", " is", " sum", " of", " we", " add", " then", " so", " result", " step", " first",
            " next", " value", " equals", " times", " divide", " each", " box", " apples", " total", " gives", " and",
            " with", " by", " from", " answer", " check", " again", "1", "2", "7", ".", ",", ":", "\n", "é", "漢", " ",
            " x", "=", "+", "(", ")", "\"", "\\", ">",
        ].map { Array($0.utf8) } + [[smile[0]]]
}
