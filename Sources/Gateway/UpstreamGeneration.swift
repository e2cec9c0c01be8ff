internal import HTTPClient
internal import Reactor
internal import RelayCore
internal import Telemetry
internal import Wire

/// Who reads a generation. *Loop thread.*
protocol GenerationReader: AnyObject {
    /// The next text, possibly empty. `running` is the server's own count so far, where it tells one; `extras` are
    /// parts of the same chunk that go on untouched.
    func generation(
        _ generation: UpstreamGeneration, wrote text: [UInt8], running: Int?, extras: ChunkExtras?)
    /// Over, well or not. Called once, also after `cancel`.
    func generationEnded(_ generation: UpstreamGeneration, _ end: UpstreamGeneration.End)
}

/// One request to one model server and its streamed answer. *Loop thread.*
final class UpstreamGeneration: HTTPTransferDelegate {
    /// How it ended, with all counts that are known.
    struct End {
        enum Kind {
            case finished(GenerationEnd.Finish, stopReason: [UInt8]?)
            case cancelled
            case failed(UpstreamFailure)
        }
        var kind: Kind
        var promptTokens: Int?
        var cachedTokens: Int?
        var cacheWriteTokens: Int?
        var generatedTokens: Int
        var source: CountSource
        /// The server's counts as they came, and the pieces of text, for the charge.
        var reported: Int?
        var running: Int?
        var pieces = 0
        /// Bytes of everything that was generated; a token is one or more of them.
        var bytes = 0
        /// A request was sent, or may have been.
        var wasStarted = true
        /// It went on behind its limit and was left.
        var overran = false
    }

    let link: UpstreamPool.Link
    /// Whether any text has arrived: from then on there is no second attempt (rule F5).
    private(set) var hasText = false
    private(set) var firstText: ContinuousClock.Instant?
    private weak var reader: (any GenerationReader)?
    private let core: LoopCore
    private var transfer: HTTPTransfer?
    private var events = SSEParser(limit: 8 << 20)
    private var plainBody: [UInt8]?
    private var usage: UpstreamChunk.Usage?
    private var runningTokens: Int?
    private var textChunks = 0
    private var textBytes = 0
    private var finish: GenerationEnd.Finish?
    private var stopReason: [UInt8]?
    private var isOver = false
    private var overran = false
    private var limit = Int.max
    /// Whether what arrives in one read is handed on as one text. Not where each chunk's count belongs to its text.
    private let isBatched: Bool
    /// Text of this read that has not been handed on.
    private var batch: [UInt8] = []

    /// Servers were seen to count one token more than they were asked for.
    private static let limitSlack = 1

    /// Bytes of an error body that are kept.
    private static let bodyLimit = 8 << 20

    init(link: UpstreamPool.Link, core: LoopCore, isBatched: Bool, reader: any GenerationReader) {
        self.link = link
        self.isBatched = isBatched
        self.core = core
        self.reader = reader
    }

    /// Sends the request, which allows `limit` tokens. A failure is told in the loop's next turn, never from inside
    /// this call.
    func start(_ body: [UInt8], isChat: Bool, limit: Int) {
        self.limit = limit
        do throws(HTTPClientError) {
            transfer = try link.client.start(
                url: isChat ? link.chat : link.completions, headers: link.headers, body: body,
                timeouts: link.timeouts, delegate: self)
        } catch {
            let failure = UpstreamFailure(error)
            core.loop.atTurnEnd { [self] in end(.failed(failure)) }
        }
    }

    /// Stops reading and closes the connection, so that the server frees its slot.
    func cancel() { end(.cancelled) }

    func pause() { transfer?.pause() }
    func resume() { transfer?.resume() }

    /// Tokens generated as far as is known: what the server counts, else the parts that came.
    var tokensSoFar: (count: Int, source: CountSource) {
        if let completion = usage?.completion, isPossible(completion) { return (completion, .reported) }
        if let runningTokens, isPossible(runningTokens) { return (runningTokens, .counted) }
        return (textChunks, .estimated)
    }

    /// Whether a count can be true: each piece is a token or more, and no more were asked for than `limit`. A server
    /// that does not keep to that has still no more tokens than bytes.
    private func isPossible(_ count: Int) -> Bool {
        count >= textChunks
            && (limit == Int.max || count - UpstreamGeneration.limitSlack <= limit || count <= textBytes)
    }

    private func end(_ kind: End.Kind) {
        guard !isOver else { return }
        isOver = true
        transfer?.cancel()
        transfer = nil
        var tokens = tokensSoFar
        // A usage that came while the generation went on is a running count, not the final one.
        if case .finished = kind {} else if tokens.source == .reported, finish == nil { tokens.source = .counted }
        let end = End(
            kind: kind, promptTokens: usage?.prompt, cachedTokens: usage?.cachedPrompt,
            cacheWriteTokens: usage?.cacheWrite, generatedTokens: tokens.count,
            source: tokens.source, reported: usage?.completion, running: runningTokens, pieces: textChunks,
            bytes: textBytes, overran: overran || tokens.count - UpstreamGeneration.limitSlack > limit)
        reader?.generationEnded(self, end)
    }

    // MARK: The transfer

    func transfer(_ transfer: HTTPTransfer, received bytes: [UInt8], status: Int) {
        if plainBody == nil, status != 200 || (textChunks == 0 && usage == nil && isPlain(bytes)) { plainBody = [] }
        if let known = plainBody?.count {
            plainBody?.append(contentsOf: bytes.prefix(UpstreamGeneration.bodyLimit - known))
            return
        }
        var chunks: [UpstreamChunk] = []
        do throws(WireError) {
            try events.push(bytes.span) { (data) throws(WireError) in
                chunks.append(try UpstreamChunk(parsing: data, with: &core.parser))
            }
        } catch {
            take(chunks)
            handOn()
            return end(.failed(UpstreamFailure(label: "bad_stream", detail: error.message)))
        }
        take(chunks)
        handOn()
        if !isOver, events.isDone { endOfStream() }
    }

    /// Whether a stream begins like a JSON document: a server that does not stream.
    private func isPlain(_ bytes: [UInt8]) -> Bool {
        !events.isInsideEvent && bytes.first { $0 > 0x20 } == UInt8(ascii: "{")
    }

    func transferEnded(_ transfer: HTTPTransfer, status: Int) {
        guard status == 200 else {
            let fault = plainBody.flatMap { try? UpstreamChunk(parsing: $0, with: &core.parser) }?.fault
            return end(.failed(UpstreamFailure(status: status, fault: fault)))
        }
        if let plainBody {
            guard let chunk = try? UpstreamChunk(parsing: plainBody, with: &core.parser) else {
                return end(
                    .failed(UpstreamFailure(label: "bad_stream", detail: "the answer is neither a stream nor JSON")))
            }
            take(chunk)
            handOn()
        }
        if !isOver { endOfStream() }
    }

    func transferFailed(_ transfer: HTTPTransfer, _ error: HTTPClientError) {
        // Some servers close the connection roughly after the last event: what was said is complete.
        if finish != nil { return endOfStream() }
        end(.failed(UpstreamFailure(error)))
    }

    private func take(_ chunks: [UpstreamChunk]) {
        for (index, chunk) in chunks.enumerated() {
            if isBehindLimit(chunk) {
                // What came with it came too, and is charged, but nobody gets it.
                for rest in chunks[index...] { count(rest) }
                return cutAtLimit()
            }
            take(chunk)
            if isOver { return }
        }
    }

    /// Whether a server goes on behind its limit. Counts may come behind the end, text may not.
    private func isBehindLimit(_ chunk: UpstreamChunk) -> Bool {
        let bytes = chunk.text.count + chunk.otherBytes
        let known = max(textChunks + (bytes > 0 ? 1 : 0), max(chunk.runningTokens ?? 0, runningTokens ?? 0))
        return (finish == nil || bytes > 0) && known - UpstreamGeneration.limitSlack > limit
    }

    private func count(_ chunk: UpstreamChunk) {
        if let usage = chunk.usage { self.usage = usage }
        if let running = chunk.runningTokens { runningTokens = max(running, runningTokens ?? 0) }
        let bytes = chunk.text.count + chunk.otherBytes
        if bytes > 0 {
            textChunks += 1
            textBytes += bytes
        }
    }

    private func take(_ chunk: UpstreamChunk) {
        if let fault = chunk.fault {
            handOn()
            let context = fault.isContextExceeded
            return end(
                .failed(
                    context
                        ? UpstreamFailure(status: 400, fault: fault)
                        : UpstreamFailure(
                            label: "error_event", detail: fault.message)))
        }
        count(chunk)
        if !chunk.text.isEmpty {
            hasText = true
            if firstText == nil { firstText = core.loop.now }
        }
        if let reason = chunk.finishReason {
            finish = UpstreamGeneration.finish(reason)
            switch chunk.stopReason {
            case .string(let text): stopReason = text
            // The server would have named a stop string: the model ended by itself.
            case .unmatched, .token: stopReason = []
            case nil: break
            }
        }
        batch += chunk.text
        let hasExtras = chunk.logprobs != nil || chunk.toolCalls != nil
        guard !isBatched || hasExtras else { return }
        let text = batch
        batch = []
        let extras = hasExtras ? ChunkExtras(logprobs: chunk.logprobs, toolCalls: chunk.toolCalls) : nil
        reader?.generation(self, wrote: text, running: chunk.runningTokens, extras: extras)
    }

    /// The server goes on behind its limit: it is left.
    private func cutAtLimit() {
        core.logger.warning("upstream went on behind its limit", ["upstream": .string(link.upstream.name)])
        overran = true
        handOn()
        end(.finished(.length, stopReason: nil))
    }

    /// Hands on what one read brought.
    private func handOn() {
        guard !isOver, !batch.isEmpty else { return }
        let text = batch
        batch = []
        reader?.generation(self, wrote: text, running: runningTokens, extras: nil)
    }

    private static func finish(_ reason: String) -> GenerationEnd.Finish {
        switch reason {
        case "stop": .stop
        case "length": .length
        default: .other(reason)
        }
    }

    private func endOfStream() {
        guard let finish else {
            return end(
                .failed(UpstreamFailure(label: "cut_stream", detail: "the stream ended without a finish reason")))
        }
        end(.finished(finish, stopReason: stopReason))
    }
}
