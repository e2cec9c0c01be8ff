import HTTPServer
import Reactor
import Wire

/// One request from its reading to its line in the truth log: generates, writes, waits and misbehaves. *Loop thread.*
final class CompletionTask {
    private struct Choice {
        var generation: TextGeneration
        var text: [UInt8] = []
        var isFinished = false
    }

    let site: ModelServer
    let exchange: HTTPExchange
    let request: CompletionRequest
    let turn: Script.Turn?
    private let writer: ResponseWriter
    var record: TruthRecord
    private var choices: [Choice] = []
    var out: [UInt8] = []
    private var unwritten = 0
    var tokens = 0
    private var isStreaming = false
    private var isOver = false
    var faultsDone: Set<String> = []
    private var timer: LoopTimer?

    /// A stream waits when its connection has taken less than all but this many bytes.
    private static let highWater = 1 << 20

    init(
        _ site: ModelServer, _ exchange: HTTPExchange, _ request: CompletionRequest, record: TruthRecord,
        turn: Script.Turn?
    ) {
        self.site = site
        self.exchange = exchange
        self.request = request
        self.record = record
        self.turn = turn
        writer = ResponseWriter(
            dialect: site.options.dialect, behaviour: site.options.behaviour, isChat: request.isChat,
            id: record.number, created: record.startedMicroseconds / 1_000_000, model: record.model)
        choices = (0..<request.choices).map { Choice(generation: generation($0)) }
    }

    private func generation(_ index: Int) -> TextGeneration {
        let behaviour = site.options.behaviour
        var settings = TextGeneration.Settings()
        settings.stops = request.stops
        settings.maxTokens = request.maxTokens
        settings.stopText = request.includesStop ? .included : behaviour.stopText
        settings.heldText = behaviour.heldText
        settings.cutCharacter = behaviour.cutCharacter
        settings.holdsWindow = behaviour.holdsWindow
        settings.isStream = request.isStream
        guard let turn else {
            let model = HashModel(
                role: record.role, seed: request.seed &+ index, prompt: request.prompt,
                commandsForbidden: request.commandsForbidden, writesMalformed: site.options.writesMalformed)
            settings.maxTokens = request.maxTokens ?? 2048
            return TextGeneration(source: .model(model), settings: settings)
        }
        if turn.faults.isEndless {
            settings.maxTokens = nil
            settings.stops = []
        } else if turn.faults.overrun > 0 {
            settings.maxTokens = request.maxTokens.map { $0 + turn.faults.overrun }
        }
        let source = TextGeneration.Source.script(tokens: turn.tokens, isEndless: turn.faults.isEndless)
        return TextGeneration(source: source, settings: settings)
    }

    func start() {
        exchange.onClose = { [self] isComplete in close(isComplete) }
        if let refusal = immediateFault() { return exchange.respond(refusal) }
        if turn?.faults.hangBefore == true { return }
        let delay = turn?.firstDelay ?? site.options.firstTokenDelay
        guard delay > .zero else { return begin() }
        if request.isStream, site.options.behaviour.comments {
            startStream()
            exchange.write(Array(":\n\n".utf8))
        }
        wait(delay) { $0.begin() }
    }

    /// Does `work` later, unless the exchange is over by then.
    func wait(_ delay: Duration, _ work: @escaping (CompletionTask) -> Void) {
        timer = site.loop.schedule(after: delay) { [weak self] in
            if let self, !isOver { work(self) }
        }
    }

    private func startStream() {
        guard !isStreaming else { return }
        isStreaming = true
        exchange.startStream(
            status: 200,
            headers: [
                ("content-type", "text/event-stream"), ("cache-control", "no-cache"), ("x-accel-buffering", "no"),
            ])
    }

    private func begin() {
        if request.isStream {
            startStream()
            for index in choices.indices { writer.appendRole(choice: index, to: &out) }
        }
        produce()
    }

    // MARK: Producing

    /// Generates until it has to wait: for a delay, for a slow reader, for ever, or because all is said.
    private func produce() {
        let delay = turn?.tokenDelay ?? site.options.tokenDelay
        while !isOver {
            if let turn, misbehaves(turn.faults) { return }
            guard choices.contains(where: { !$0.isFinished }) else { return finish() }
            for index in choices.indices where !choices[index].isFinished { step(index) }
            unwritten += 1
            if out.count > 65536 {
                flush()
                if exchange.isOver(highWater: CompletionTask.highWater) {
                    exchange.onDrain = { [weak self] in self?.produce() }
                    return
                }
            }
            if delay > .zero, unwritten >= site.options.tokensPerWrite {
                let count = unwritten
                flush()
                return wait(delay * count) { $0.produce() }
            }
        }
    }

    private func step(_ index: Int) {
        guard let text = choices[index].generation.step() else {
            choices[index].isFinished = true
            return
        }
        tokens += 1
        let finish = choices[index].generation.finish
        if finish != nil { choices[index].isFinished = true }
        guard request.isStream else { return choices[index].text.append(contentsOf: text) }
        let behaviour = site.options.behaviour
        let carries = finish != nil && behaviour.finishCarriesText
        if !carries, !text.isEmpty || behaviour.emptyDeltas && finish != .endOfSequence {
            append(text, index, finish: nil)
        }
        if finish != nil { append(carries ? text : [], index, finish: finishName(index)) }
    }

    private func append(_ text: [UInt8], _ index: Int, finish: String?) {
        let behaviour = site.options.behaviour
        let place = request.isChat ? behaviour.usageInChat : behaviour.usageInCompletions
        let isRunning = request.wantsRunningUsage && behaviour.runningUsage
        let isPredicted = isRunning && site.options.dialect == .llamacpp
        let count = choices[index].generation.tokens
        let isEarly = turn?.faults.finishAfter.map { tokens > $0 } ?? false
        let finish = finish ?? (isEarly ? "length" : nil)
        writer.appendChunk(
            text, choice: index, finish: finish, matched: matched(index),
            usage: finish != nil && place == .last || isRunning && !isPredicted ? usage : nil,
            predicted: isPredicted ? count : nil, to: &out)
    }

    private var usage: ReportedUsage {
        ReportedUsage(prompt: record.promptTokens, completion: tokens, lie: turn?.usage)
    }

    private func matched(_ index: Int) -> [UInt8]? {
        if case .stopString(let stop) = choices[index].generation.finish { stop } else { nil }
    }

    private func finishName(_ index: Int) -> String {
        turn?.finish ?? (choices[index].generation.finish == .length ? "length" : "stop")
    }

    private func finish() {
        let behaviour = site.options.behaviour
        let place = request.isChat ? behaviour.usageInChat : behaviour.usageInCompletions
        guard request.isStream else {
            let prefill = behaviour.repeatsPrefill ? request.prefill : []
            let body = writer.whole(
                choices.indices.map { (prefill + choices[$0].text, finishName($0), matched($0)) },
                usage: place == .never ? nil : usage)
            record.sentTokens = tokens
            return exchange.respond(FakeResponse(status: 200, body: body))
        }
        if place == .ownChunk || place == .asked && request.includeUsage { writer.appendUsage(usage, to: &out) }
        if behaviour.done { out.append(contentsOf: "data: [DONE]\n\n".utf8) }
        flush()
        exchange.finishStream()
    }

    /// Gives the connection what has been written so far.
    func flush() {
        exchange.write(out)
        out.removeAll(keepingCapacity: true)
        unwritten = 0
        record.sentTokens = tokens
    }

    private func close(_ isComplete: Bool) {
        isOver = true
        timer?.cancel()
        record.clientLeft = !isComplete && record.finish != "reset"
        record.endedMicroseconds = site.microseconds()
        for (index, choice) in choices.enumerated() {
            var line = record
            line.choice = index
            line.generatedTokens = choice.generation.tokens
            line.text = choice.generation.text
            if line.finish == "none" {
                switch choice.generation.finish {
                case .endOfSequence: line.finish = turn?.finish ?? "eos"
                case .stopString: line.finish = "stop"
                case .length: line.finish = "length"
                case nil: line.finish = "cut"
                }
            }
            site.note(line)
        }
    }
}
