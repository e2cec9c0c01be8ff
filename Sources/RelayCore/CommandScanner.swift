/// Finds commands in the text of one SLM turn as it streams, in any split (C1, C2, C5).
///
/// What may still become a tag is held back, and so is a body that went wrong, for at most ``holdLimit`` bytes, because
/// its closing tag decides whether it is a command. The part of a command that is valid so far is removed in any case
/// and therefore never held: a megabyte of digits costs nothing here.
package struct CommandScanner: Sendable {
    /// What was found, in the order of the text.
    package enum Item: Sendable, Equatable {
        /// Ordinary text.
        case text([UInt8])
        /// Part of a command: not text.
        case removed([UInt8])
        /// A tag begins; `at` counts bytes from the start of the turn.
        case opened(at: Int)
        /// An opening tag that nothing closes: malformed; `end` is the offset behind its removed part.
        case unclosed(end: Int)
        /// A closing tag that completes a command asking for n tokens (saturated); it ends the turn.
        case command(Int)
        /// A closing tag that completes something malformed, or stands alone; it ends the turn.
        case malformed
    }

    private enum State {
        /// Ordinary text; entered at the start and when an unclosed command was given up. Next: body, ended.
        case text
        /// Behind an opening tag, everything valid so far. Next: invalid, text (at the end of the turn), ended.
        case body
        /// Behind an opening tag, no longer valid; `held` waits for the closing tag. Next: text, ended.
        case invalid
        /// A closing tag was found; what follows is dropped.
        case ended
    }

    /// The most bytes held back.
    package let holdLimit: Int

    private let tags: CommandTags
    private var state = State.text
    private var tagMatcher: PatternMatcher
    private var closeMatcher: PatternMatcher
    private var held: [UInt8] = []
    private var number = 0
    private var hasDigits = false
    private var numberEnded = false
    private var offset = 0

    /// Bytes behind the closing tag that ended the turn.
    package private(set) var droppedBytes = 0
    /// Whether the turn ended without the closing tag of a command it had opened.
    package private(set) var endedInsideCommand = false

    /// A scanner for one turn.
    package init(tags: CommandTags = CommandTags()) {
        self.tags = tags
        tagMatcher = PatternMatcher([tags.open, tags.close])
        closeMatcher = PatternMatcher([tags.close])
        holdLimit = max(64, 2 * tags.close.count)
    }

    /// Bytes held back now.
    package var heldCount: Int { held.count }

    /// Bytes of the turn seen so far.
    package var seenBytes: Int { offset }

    /// Whether a closing tag has ended the turn.
    package var hasEnded: Bool { if case .ended = state { true } else { false } }

    /// Whether an opening tag waits for its closing tag.
    package var isInsideCommand: Bool {
        switch state {
        case .body, .invalid: true
        case .text, .ended: false
        }
    }

    /// Takes the next text of the turn.
    package mutating func append(_ bytes: [UInt8]) -> [Item] {
        var items: [Item] = []
        scan(bytes, into: &items)
        return items
    }

    /// Ends the turn.
    ///
    /// - Parameter closed: whether the closing tag ended it and the server left that tag out of the text.
    package mutating func finish(closed: Bool) -> [Item] {
        var items: [Item] = []
        if closed, !hasEnded { scan(tags.close, into: &items) }
        while true {
            switch state {
            case .ended: return items
            case .text:
                emitText(held[...], into: &items)
                held = []
                tagMatcher.reset()
                return items
            case .body, .invalid:
                endedInsideCommand = true
                giveUp(into: &items)
            }
        }
    }

    private mutating func scan(_ bytes: [UInt8], into items: inout [Item]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            switch state {
            case .text: scanText(&rest, into: &items)
            case .body: scanBody(&rest, into: &items)
            case .invalid: scanInvalid(&rest, into: &items)
            case .ended:
                offset += rest.count
                droppedBytes += rest.count
                return
            }
        }
    }

    private mutating func scanText(_ rest: inout ArraySlice<UInt8>, into items: inout [Item]) {
        guard let match = tagMatcher.scan(rest) else {
            offset += rest.count
            if held.isEmpty, tagMatcher.heldCount == 0 {
                emitText(rest, into: &items)
            } else {
                held += rest
                let release = held.count - tagMatcher.heldCount
                emitText(held[..<release], into: &items)
                held.removeFirst(release)
            }
            rest = []
            return
        }
        held += rest[..<match.end]
        offset += match.end - rest.startIndex
        rest = rest[match.end...]
        tagMatcher.reset()
        emitText(held.dropLast(match.length), into: &items)
        let tag = Array(held.suffix(match.length))
        held = []
        items.append(.opened(at: offset - match.length))
        items.append(.removed(tag))
        if tag == tags.open {
            number = 0
            hasDigits = false
            numberEnded = false
            state = .body
        } else {
            items.append(.malformed)
            state = .ended
        }
    }

    /// In the body `held` is a beginning of the closing tag, nothing else.
    private mutating func scanBody(_ rest: inout ArraySlice<UInt8>, into items: inout [Item]) {
        var index = rest.startIndex
        if held.isEmpty {
            while index < rest.endIndex, acceptsBody(rest[index]) { index += 1 }
            emitRemoved(rest[..<index], into: &items)
        }
        while index < rest.endIndex, held.count < tags.close.count, rest[index] == tags.close[held.count] {
            held.append(rest[index])
            index += 1
        }
        offset += index - rest.startIndex
        rest = rest[index...]
        if held.count == tags.close.count {
            emitRemoved(held[...], into: &items)
            held = []
            items.append(hasDigits ? .command(number) : .malformed)
            state = .ended
        } else if !rest.isEmpty {
            state = .invalid
            closeMatcher.reset()
            _ = closeMatcher.scan(held[...])
        }
    }

    /// What a number with more digits counts as: the largest count that the ledger takes.
    package static let numberLimit = 9_000_000_000_000_000

    private mutating func acceptsBody(_ byte: UInt8) -> Bool {
        if byte.isASCIIWhiteSpace {
            numberEnded = hasDigits
            return true
        }
        guard byte.isASCIIDigit, !numberEnded else { return false }
        hasDigits = true
        let (product, overflow) = number.multipliedReportingOverflow(by: 10)
        let (sum, carry) = product.addingReportingOverflow(Int(byte - UInt8(ascii: "0")))
        number = overflow || carry ? Self.numberLimit : min(sum, Self.numberLimit)
        return true
    }

    private mutating func scanInvalid(_ rest: inout ArraySlice<UInt8>, into items: inout [Item]) {
        let room = holdLimit - held.count
        let part = rest.prefix(room)
        if let match = closeMatcher.scan(part) {
            held += rest[..<match.end]
            offset += match.end - rest.startIndex
            rest = rest[match.end...]
            emitRemoved(held[...], into: &items)
            held = []
            items.append(.malformed)
            state = .ended
            return
        }
        held += part
        offset += part.count
        rest = rest.dropFirst(part.count)
        if held.count >= holdLimit { giveUp(into: &items) }
    }

    /// The command is unclosed: what was held behind it is text and may itself open one.
    private mutating func giveUp(into items: inout [Item]) {
        let text = held
        held = []
        offset -= text.count
        items.append(.unclosed(end: offset))
        state = .text
        tagMatcher.reset()
        scan(text, into: &items)
    }

    private func emitText(_ bytes: ArraySlice<UInt8>, into items: inout [Item]) {
        guard !bytes.isEmpty else { return }
        items.append(.text(Array(bytes)))
    }

    private func emitRemoved(_ bytes: ArraySlice<UInt8>, into items: inout [Item]) {
        guard !bytes.isEmpty else { return }
        items.append(.removed(Array(bytes)))
    }
}
