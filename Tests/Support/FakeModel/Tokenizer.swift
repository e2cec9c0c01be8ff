/// Cuts text into the tokens of the fake's vocabulary: a word with the space before it, a digit, `<`, `</`, a newline,
/// any other character. A character of four bytes is one token for each byte, so that a token limit can cut it.
///
/// Joining tokens gives the text back. Cutting is greedy and looks ahead no further than a word.
struct Tokenizer {
    private var ids: [[UInt8]: Int] = [:]
    private var pieces: [[UInt8]] = []

    /// Ids below this are bytes.
    private static let byteTokens = 256
    /// Pieces that get an id of their own; later ones are spelled in byte tokens.
    private static let pieceLimit = 1 << 16

    /// The end of the token that starts at `start`, which lies inside `text`.
    static func end(of start: Int, in text: [UInt8]) -> Int {
        let first = text[start]
        if first == UInt8(ascii: "<") {
            return start + 1 < text.count && text[start + 1] == UInt8(ascii: "/") ? start + 2 : start + 1
        }
        var end = start + 1
        if isLetter(first) || first == UInt8(ascii: " ") {
            while end < text.count, isLetter(text[end]) { end += 1 }
            return end
        }
        guard first >= 0xC0, first < 0xF0 else { return end }
        while end < text.count, end - start < 3, text[end] & 0xC0 == 0x80 { end += 1 }
        return end
    }

    /// How many tokens `text` has.
    static func count(_ text: [UInt8]) -> Int {
        var position = 0
        var count = 0
        while position < text.count {
            position = end(of: position, in: text)
            count += 1
        }
        return count
    }

    /// The tokens of `text`, in order.
    static func tokens(_ text: [UInt8]) -> [[UInt8]] {
        var tokens: [[UInt8]] = []
        var position = 0
        while position < text.count {
            let next = end(of: position, in: text)
            tokens.append(Array(text[position..<next]))
            position = next
        }
        return tokens
    }

    /// Ids of the tokens of `text`. A piece gets its id when it is seen first.
    mutating func encode(_ text: [UInt8]) -> [Int] {
        var encoded: [Int] = []
        for token in Tokenizer.tokens(text) {
            if token.count == 1 {
                encoded.append(Int(token[0]))
            } else if let id = ids[token] {
                encoded.append(id)
            } else if pieces.count < Tokenizer.pieceLimit {
                let id = Tokenizer.byteTokens + pieces.count
                ids[token] = id
                pieces.append(token)
                encoded.append(id)
            } else {
                encoded.append(contentsOf: token.map { Int($0) })
            }
        }
        return encoded
    }

    /// The text of `tokens`; an id that was never given out is nil.
    func decode(_ tokens: [Int]) -> [UInt8]? {
        var text: [UInt8] = []
        for id in tokens {
            if id >= 0, id < Tokenizer.byteTokens {
                text.append(UInt8(id))
            } else if id >= Tokenizer.byteTokens, id - Tokenizer.byteTokens < pieces.count {
                text.append(contentsOf: pieces[id - Tokenizer.byteTokens])
            } else {
                return nil
            }
        }
        return text
    }

    private static func isLetter(_ byte: UInt8) -> Bool {
        let lower = byte | 0x20
        return lower >= UInt8(ascii: "a") && lower <= UInt8(ascii: "z")
    }
}
