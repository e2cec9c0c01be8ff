internal import HTTPClient
internal import Reactor
internal import Wire

/// Asks a server to render messages with its model's template. *Loop thread.*
final class PromptRendering: HTTPTransferDelegate {
    typealias Completion = (Result<[UInt8], UpstreamFailure>) -> Void

    private let link: UpstreamPool.Link
    private let core: LoopCore
    private var completion: Completion?
    private var transfer: HTTPTransfer?
    private var body: [UInt8] = []
    private var isDetokenizing = false

    /// Answers of a template endpoint longer than this are no prompts.
    private static let bodyLimit = 64 << 20

    init(_ messages: [UInt8], link: UpstreamPool.Link, core: LoopCore, _ completion: @escaping Completion) {
        self.link = link
        self.core = core
        self.completion = completion
        var request: [UInt8] = []
        switch link.upstream.dialect.template {
        case .applyTemplate:
            request.append(json: #"{"messages":"#)
            request.append(rawJSON: messages)
            request.append(json: "}")
            start("/apply-template", request)
        case .tokenize, .none:
            request.append(json: #"{"model":"#)
            request.append(jsonString: link.upstream.model)
            request.append(json: #","add_generation_prompt":true,"messages":"#)
            request.append(rawJSON: messages)
            request.append(json: "}")
            start("/tokenize", request)
        }
    }

    func cancel() {
        completion = nil
        transfer?.cancel()
    }

    private func start(_ path: String, _ request: [UInt8]) {
        do throws(HTTPClientError) {
            transfer = try link.client.start(
                url: link.root + path, headers: link.headers, body: request, timeouts: link.timeouts, delegate: self)
        } catch {
            let failure = UpstreamFailure(error)
            // The owner has not got this object yet: answer when it has.
            core.loop.atTurnEnd { [self] in finish(.failure(failure)) }
        }
    }

    private func finish(_ result: Result<[UInt8], UpstreamFailure>) {
        let completion = self.completion
        self.completion = nil
        transfer = nil
        completion?(result)
    }

    func transfer(_ transfer: HTTPTransfer, received bytes: [UInt8], status: Int) {
        body += bytes
        guard body.count > PromptRendering.bodyLimit else { return }
        transfer.cancel()
        finish(.failure(UpstreamFailure(label: "bad_template", detail: "the rendered prompt is too long")))
    }

    func transferFailed(_ transfer: HTTPTransfer, _ error: HTTPClientError) { finish(.failure(UpstreamFailure(error))) }

    func transferEnded(_ transfer: HTTPTransfer, status: Int) {
        let body = self.body
        self.body = []
        guard status == 200 else {
            let fault = (try? UpstreamChunk(parsing: body, with: &core.parser))?.fault
            return finish(.failure(UpstreamFailure(status: status, fault: fault)))
        }
        if case .tokenize = link.upstream.dialect.template, !isDetokenizing { return detokenize(body) }
        let prompt = try? core.parser.read(body) { (root) throws(WireError) in root["prompt"]?.bytes }
        guard let prompt = prompt ?? nil else {
            return finish(.failure(UpstreamFailure(label: "bad_template", detail: "no prompt in the answer")))
        }
        finish(.success(prompt))
    }

    private func detokenize(_ body: [UInt8]) {
        let tokens = try? core.parser.read(body) { (root) throws(WireError) in root["tokens"]?.raw }
        guard let tokens = tokens ?? nil else {
            return finish(.failure(UpstreamFailure(label: "bad_template", detail: "no tokens in the answer")))
        }
        isDetokenizing = true
        var request: [UInt8] = []
        request.append(json: #"{"model":"#)
        request.append(jsonString: link.upstream.model)
        request.append(json: #","tokens":"#)
        request.append(rawJSON: tokens)
        request.append(json: "}")
        start("/detokenize", request)
    }
}
