/// What became of a verdict.
package enum VerdictOutcome: Sendable, Equatable {
    /// It is kept, also when it was there already.
    case kept
    /// There is no such request and choice, or it is another tenant's.
    case unknown
    /// Its source has said something else of the same moment, which is kept.
    case contradicted
}

/// What one source says of one answer.
package struct VerdictRecord: Sendable, Equatable {
    /// The longest note, in characters.
    package static let noteLimit = 2000

    package var request: UUID7
    /// Which of the request's answers, from 0.
    package var choice: Int
    /// Who judged, such as `unit-tests`: as `isSource` allows.
    package var source: String
    /// 1 is right, 0 is wrong, between them a share.
    package var verdict: Double
    package var judged: Timestamp
    package var note: String

    package init(request: UUID7, choice: Int, source: String, verdict: Double, judged: Timestamp, note: String) {
        self.request = request
        self.choice = choice
        self.source = source
        self.verdict = verdict
        self.judged = judged
        self.note = note
    }

    /// Whether a text can name a source: 1 to 63 of a-z 0-9 . _ -, a letter or digit at both ends.
    package static func isSource(_ text: String) -> Bool {
        func isPlain(_ byte: UInt8) -> Bool {
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
        }
        let bytes = Array(text.utf8)
        guard (1...63).contains(bytes.count), let first = bytes.first, let last = bytes.last else { return false }
        return isPlain(first) && isPlain(last) && bytes.allSatisfy { isPlain($0) || Array("._-".utf8).contains($0) }
    }
}
