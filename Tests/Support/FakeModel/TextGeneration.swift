/// One generation: takes tokens from a source until the model ends, a stop string is found or the limit is reached, and
/// says after each token which text may be shown.
struct TextGeneration {
    /// Where tokens come from.
    enum Source {
        case model(HashModel)
        /// Tokens of a script; `isEndless` begins again after the last.
        case script(tokens: [[UInt8]], isEndless: Bool)
    }

    /// Why a generation has ended.
    enum Finish: Equatable {
        case endOfSequence
        case stopString([UInt8])
        case length
    }

    /// What one generation is asked for, and how the server goes about it.
    struct Settings {
        var stops: [[UInt8]] = []
        var maxTokens: Int?
        var stopText = StopText.excluded
        var heldText = HeldText.flush
        var cutCharacter = CutCharacter.replacement
        /// Holds back as many bytes as the longest stop string but one, whatever they are.
        var holdsWindow = false
        var isStream = true
    }

    // Apart, so that the model is changed where it stands and not copied for each token.
    private var model: HashModel?
    private var script: [[UInt8]] = []
    private var isEndless = false
    private let settings: Settings
    private let longestStop: Int
    private var position = 0
    /// Everything the model has written, stop strings included.
    private(set) var text: [UInt8] = []
    /// Tokens that the model has written. The end of the sequence is one, as real servers count it.
    private(set) var tokens = 0
    private(set) var finish: Finish?
    private var released = 0

    init(source: Source, settings: Settings) {
        switch source {
        case .model(let model): self.model = model
        case .script(let tokens, let isEndless):
            script = tokens
            self.isEndless = isEndless
        }
        self.settings = settings
        longestStop = settings.stops.map(\.count).max() ?? 0
    }

    /// Generates one token and returns the text that may be shown now, which may be empty; nil when nothing is left.
    mutating func step() -> [UInt8]? {
        guard finish == nil else { return nil }
        let before = text.count
        tokens += 1
        if let token = nextToken() {
            text.append(contentsOf: token)
            if let match = firstStop(from: before) {
                finish = .stopString(match.stop)
                return release(upTo: match.start + (settings.stopText == .included ? match.stop.count : 0))
            }
            if let limit = settings.maxTokens, tokens >= limit { finish = .length }
        } else {
            finish = .endOfSequence
        }
        return release(upTo: finish == nil ? text.count - heldCount() : endOfText())
    }

    private mutating func nextToken() -> [UInt8]? {
        if model != nil { return model?.next() }
        if position == script.count, isEndless { position = 0 }
        guard position < script.count else { return nil }
        position += 1
        return script[position - 1]
    }

    /// The earliest stop string that ends after `start`.
    private func firstStop(from start: Int) -> (start: Int, stop: [UInt8])? {
        var best: (start: Int, stop: [UInt8])?
        for stop in settings.stops {
            var at = max(0, start - stop.count + 1)
            let last = min(text.count - stop.count, (best?.start ?? Int.max - 1) - 1)
            while at <= last {
                if text[at] == stop[0], text[at..<at + stop.count].elementsEqual(stop) {
                    best = (at, stop)
                    break
                }
                at += 1
            }
        }
        return best
    }

    /// How many bytes at the end of the text must wait because they may be the start of a stop string.
    private func heldCount() -> Int {
        guard longestStop > 1, settings.stopText == .excluded else { return 0 }
        if settings.holdsWindow { return min(longestStop - 1, text.count - released) }
        var held = min(longestStop - 1, text.count - released)
        while held > 0 {
            for stop in settings.stops where stop.count > held && text.suffix(held).elementsEqual(stop[..<held]) {
                return held
            }
            held -= 1
        }
        return 0
    }

    /// Where the text that is shown ends when no stop string has been found.
    private func endOfText() -> Int {
        let isLost = finish == .length && settings.heldText == .lose && settings.isStream
        return isLost ? text.count - heldCount() : text.count
    }

    /// Gives out text up to `end`, whole characters only; at the end a cut character becomes what the server makes of
    /// it.
    private mutating func release(upTo end: Int) -> [UInt8] {
        guard end > released else { return [] }
        let whole = TextGeneration.wholeCharacters(text, end)
        var piece = Array(text[released..<max(released, whole)])
        released = max(released, whole)
        guard finish != nil, whole < end else { return piece }
        let isReplaced = settings.cutCharacter == .replacement || settings.cutCharacter == .whole && !settings.isStream
        if isReplaced { piece.append(contentsOf: [0xEF, 0xBF, 0xBD]) }
        released = end
        return piece
    }

    /// The end of the last whole character of `text` that ends at or before `end`.
    private static func wholeCharacters(_ text: [UInt8], _ end: Int) -> Int {
        var start = end - 1
        while start >= 0, end - start < 4, text[start] & 0xC0 == 0x80 { start -= 1 }
        guard start >= 0, text[start] >= 0xC0 else { return end }
        let size = text[start] >= 0xF0 ? 4 : text[start] >= 0xE0 ? 3 : 2
        return end - start < size ? start : end
    }
}
