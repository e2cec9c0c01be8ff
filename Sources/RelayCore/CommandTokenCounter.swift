/// Says how many of a generation's tokens went into commands.
///
/// Where the server tells a running count, the tokens before a tag are the count at the last chunk with text that ended
/// at or before its first byte: chunks without text come while the server holds text back, so their counts belong to
/// text that is still to come. Without running counts the bytes of the commands decide: two bytes to a token.
struct CommandTokenCounter: Sendable {
    private struct Checkpoint {
        var offset: Int
        var tokens: Int
    }

    /// How many bytes back the scanner may still look.
    private let reach: Int
    private var checkpoints: [Checkpoint] = [Checkpoint(offset: 0, tokens: 0)]
    private var offset = 0
    private var lastCount = 0
    private var hasCounts = false
    private var openCount: Int?
    private var attributed = 0
    private var tokens = 0
    private var bytes = 0

    init(reach: Int) {
        self.reach = reach
    }

    /// A chunk arrived.
    mutating func chunk(bytes count: Int, generated: Int?) {
        offset += count
        guard let generated else { return }
        hasCounts = true
        lastCount = max(lastCount, generated)
        guard count > 0 else { return }
        checkpoints.append(Checkpoint(offset: offset, tokens: lastCount))
        // Every chunk here has a byte at least, so this many reach back far enough.
        if checkpoints.count > 4 * reach { checkpoints.removeFirst(checkpoints.count - 2 * reach) }
    }

    /// Whether the server's count has moved on since the last chunk that was read.
    func isAhead(_ generated: Int) -> Bool { generated > lastCount }

    /// A tag begins at this offset.
    mutating func opened(at start: Int) {
        openCount = max(attributed, checkpoints.last { $0.offset <= start }?.tokens ?? 0)
    }

    /// Part of a command.
    mutating func removed(bytes count: Int) { bytes += count }

    /// Text behind a command, which no view holds.
    mutating func dropped(bytes count: Int) { bytes += count }

    /// The removed part of an unclosed command ends at this offset, and text follows.
    mutating func unclosed(end: Int) {
        guard let openCount else { return }
        // Without a chunk that reaches so far, its tokens are those up to the end of the generation.
        guard let end = checkpoints.first(where: { $0.offset >= end })?.tokens else { return }
        tokens += max(0, end - openCount)
        attributed = max(attributed, end)
        self.openCount = nil
    }

    /// The tokens of commands among all tokens of the generation.
    func total(generated: Int) -> (tokens: Int, source: CountSource) {
        guard bytes > 0 else { return (0, .counted) }
        guard hasCounts else { return (min(generated, bytes / 2 + bytes % 2), .estimated) }
        let tail = openCount.map { max(0, generated - $0) } ?? 0
        return (min(generated, tokens + tail), .counted)
    }
}
