internal import HTTPClient
internal import Reactor
internal import Wire

/// Asks a server how many tokens a text is. It keeps itself until it has told. *Loop thread.*
final class TokenCounter: HTTPTransferDelegate {
    private let core: LoopCore
    private var completion: ((Int?) -> Void)?
    private var transfer: HTTPTransfer?
    private var keeper: TokenCounter?
    private var body: [UInt8] = []

    /// A count that is longer in coming is not waited for.
    private static let timeouts = HTTPTimeouts(firstByte: .seconds(2), idle: .seconds(2))
    /// Answers longer than this are no counts.
    private static let bodyLimit = 64 << 20

    /// Calls `completion` once, never from inside; nil when the server cannot say.
    @discardableResult
    init(_ text: [UInt8], link: UpstreamPool.Link, core: LoopCore, _ completion: @escaping (Int?) -> Void) {
        self.core = core
        self.completion = completion
        var request: [UInt8] = []
        switch link.upstream.dialect.tokenizer {
        case .content: request.append(json: #"{"add_special":true,"parse_special":true,"content":"#)
        case .prompt, .none:
            request.append(json: #"{"model":"#)
            request.append(jsonString: link.upstream.model)
            request.append(json: #","prompt":"#)
        }
        request.append(jsonString: String(decoding: text, as: UTF8.self))
        request.append(json: "}")
        keeper = self
        do throws(HTTPClientError) {
            transfer = try link.client.start(
                url: link.root + "/tokenize", headers: link.headers, body: request, timeouts: TokenCounter.timeouts,
                delegate: self)
        } catch {
            core.loop.atTurnEnd { [self] in finish(nil) }
        }
    }

    private func finish(_ count: Int?) {
        let completion = self.completion
        self.completion = nil
        transfer = nil
        keeper = nil
        completion?(count)
    }

    func transfer(_ transfer: HTTPTransfer, received bytes: [UInt8], status: Int) {
        body += bytes
        guard body.count > TokenCounter.bodyLimit else { return }
        transfer.cancel()
        finish(nil)
    }

    func transferFailed(_ transfer: HTTPTransfer, _ error: HTTPClientError) { finish(nil) }

    func transferEnded(_ transfer: HTTPTransfer, status: Int) {
        guard status == 200 else { return finish(nil) }
        let count = try? core.parser.read(body) { (root) throws(WireError) in
            root["count"]?.int ?? root["tokens"]?.count
        }
        // A text has a token or more, and no number of them that could not be counted with.
        finish((count ?? nil).flatMap { (1...TokenUsage.countLimit).contains($0) ? $0 : nil })
    }
}
