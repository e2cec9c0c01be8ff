/// One answer as its three readers see it: the controller (SLM), the expert (LLM) and the client.
///
/// The expert and the client see the same text, the *view*: everything without commands. Every array only ever grows,
/// so the text of a later call begins with that of an earlier one and prefix caches hit.
package struct Transcript: Sendable {
    /// A stretch of the view by one writer.
    package struct Run: Sendable, Equatable {
        /// Who wrote it.
        package var role: Role
        /// The offset behind its last byte in the view.
        package var end: Int

        /// A stretch.
        package init(role: Role, end: Int) {
            self.role = role
            self.end = end
        }
    }

    /// Everything: SLM text, commands (always with their closing tag), LLM text. What the SLM gets when it resumes.
    package private(set) var controller: [UInt8] = []
    /// The text without commands, including what is not yet shown because it may become a stop string.
    package private(set) var view: [UInt8] = []
    /// The writers of the view, in order; neighbours differ.
    package private(set) var runs: [Run] = []
    /// Bytes of the view that the client may see.
    package private(set) var clientCount = 0

    /// Bytes of the controller view that are not in the view: commands, and what followed a stop string.
    package private(set) var removedBytes = 0
    /// Bytes of white space dropped from the view where a removal left white space on both sides.
    package private(set) var droppedWhiteSpace = 0
    /// Tags that were formed by the text on both sides of a removal and removed as well.
    package private(set) var joinedTags = 0
    /// Whether a stop string of the caller has matched; the view ends with it for good.
    package private(set) var stopped = false

    private var stops: PatternMatcher
    private var joins: PatternMatcher
    /// SLM text that may become a tag together with the text behind the next removal; part of no view yet.
    private var joinHeld: [UInt8] = []
    private var afterRemoval = false

    /// An empty transcript.
    package init(tags: CommandTags = CommandTags(), stop: [[UInt8]] = []) {
        stops = PatternMatcher(stop)
        joins = PatternMatcher([tags.open, tags.close])
    }

    /// What the LLM gets: the view without the white space at its very end, which would spoil tokenization.
    package var expert: [UInt8] {
        let end = view.lastIndex { !$0.isASCIIWhiteSpace }.map { $0 + 1 } ?? 0
        return Array(view[..<end])
    }

    /// What the client has been shown or is being shown.
    package var client: [UInt8] { Array(view[..<clientCount]) }

    /// Bytes of the view that the client does not see: a stop string, or what may become one.
    package var hiddenBytes: Int { view.count - clientCount }

    /// Whether text followed the stop string of the caller; it is left out of the view.
    package private(set) var textFollowsStop = false

    /// Bytes held back because they may become a tag; they are in the controller view and not in the view.
    package var heldBytes: Int { joinHeld.count }

    /// The view of the model of this role, as it is sent.
    package func text(for role: Role) -> [UInt8] {
        switch role {
        case .slm: controller
        case .llm: expert
        }
    }

    /// Adds text that one of the models wrote.
    mutating func append(_ text: [UInt8], by role: Role) {
        controller += text
        guard !stopped else {
            leaveOutBehindStop(text.count)
            return
        }
        var rest = afterRemoval ? collapsed(text[...]) : text[...]
        guard !rest.isEmpty else { return }
        guard role == .slm else {
            releaseHeld()
            joins.reset()
            show(rest, by: .llm)
            return
        }
        while let match = joins.scan(rest) {
            removeJoinedTag(joinHeld + rest[..<match.end], length: match.length)
            if stopped { return leaveOutBehindStop(rest.endIndex - match.end) }
            rest = collapsed(rest[match.end...])
        }
        hold(rest)
    }

    /// Adds part of a command, which only the controller sees.
    mutating func appendRemoved(_ bytes: [UInt8]) {
        controller += bytes
        removedBytes += bytes.count
        afterRemoval = true
    }

    /// Decides that what is held back is ordinary text, because somebody is about to read it or to write behind it.
    mutating func releaseHeld() {
        guard !joinHeld.isEmpty else { return }
        let text = joinHeld
        joinHeld = []
        show(text[...], by: .slm)
    }

    /// Ends the answer: nothing can become a stop string any more.
    mutating func complete() {
        releaseHeld()
        if !stopped { clientCount = view.count }
    }

    /// The text of a range of the view, cut where the writer changes.
    func pieces(_ range: Range<Int>) -> [(role: Role, text: [UInt8])] {
        var pieces: [(role: Role, text: [UInt8])] = []
        var start = range.lowerBound
        // The range is at the end of the view, so its runs are looked for from there.
        let behind = runs.lastIndex { $0.end <= start }
        for run in runs[(behind.map { $0 + 1 } ?? 0)...] where start < range.upperBound {
            let end = min(run.end, range.upperBound)
            pieces.append((run.role, Array(view[start..<end])))
            start = end
        }
        return pieces
    }

    /// One run of white space is kept where a removal leaves it on both sides: the left one.
    private mutating func collapsed(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        guard afterRemoval, !text.isEmpty else { return text }
        guard let last = joinHeld.last ?? view.last, last.isASCIIWhiteSpace else {
            afterRemoval = false
            return text
        }
        let rest = text.drop { $0.isASCIIWhiteSpace }
        droppedWhiteSpace += text.count - rest.count
        if !rest.isEmpty { afterRemoval = false }
        return rest
    }

    /// The text on both sides of a removal spells a tag: what has not been released of it is removed too.
    private mutating func removeJoinedTag(_ text: [UInt8], length: Int) {
        let removed = min(length, text.count)
        joinHeld = []
        show(text.dropLast(removed), by: .slm)
        removedBytes += removed
        if stopped {
            textFollowsStop = true
            return
        }
        joinedTags += 1
        afterRemoval = true
        joins.reset()
        let ownStart = runs.last?.role == .llm ? view.count : (runs.dropLast().last?.end ?? 0)
        let tail = view[max(ownStart, view.count - joins.longest + 1)...]
        _ = joins.scan(tail)
    }

    private mutating func hold(_ text: ArraySlice<UInt8>) {
        if joins.heldCount == 0, joinHeld.isEmpty {
            show(text, by: .slm)
            return
        }
        let all = joinHeld + text
        let release = max(0, all.count - joins.heldCount)
        joinHeld = Array(all[release...])
        show(all[..<release], by: .slm)
    }

    private mutating func show(_ text: ArraySlice<UInt8>, by role: Role) {
        guard !text.isEmpty else { return }
        let start = view.count
        view += text
        guard let match = stops.scan(view[start...]) else {
            extendRuns(by: role)
            clientCount = view.count - stops.heldCount
            return
        }
        stopped = true
        clientCount = match.end - match.length
        leaveOutBehindStop(view.count - match.end + joinHeld.count)
        view.removeLast(view.count - match.end)
        joinHeld = []
        extendRuns(by: role)
    }

    private mutating func extendRuns(by role: Role) {
        if runs.last?.role == role {
            runs[runs.count - 1].end = view.count
        } else {
            runs.append(Run(role: role, end: view.count))
        }
    }

    private mutating func leaveOutBehindStop(_ count: Int) {
        removedBytes += count
        textFollowsStop = textFollowsStop || count > 0
    }
}
