/// A whole answer.
package struct HTTPAnswer: Sendable {
    package let status: Int
    /// Empty when the bytes were handed out as they came.
    package let body: [UInt8]
}

extension HTTPClient {
    /// One request and its whole answer, for tools: an `async` face of `start`. `onBytes`, when given, gets the bytes
    /// as they come, and the answer's body stays empty. *Loop thread.*
    package func fetch(
        url: String, headers: HTTPHeaders, body: [UInt8]?, timeouts: HTTPTimeouts,
        onBytes: (([UInt8]) -> Void)? = nil
    ) async throws(HTTPClientError) -> HTTPAnswer {
        let collector = Collector(onBytes)
        let transfer = try start(url: url, headers: headers, body: body, timeouts: timeouts, delegate: collector)
        let result = await withCheckedContinuation { continuation in
            collector.onEnd = { continuation.resume(returning: $0) }
        }
        withExtendedLifetime((collector, transfer)) {}
        return try result.get()
    }
}

private final class Collector: HTTPTransferDelegate {
    typealias Outcome = Result<HTTPAnswer, HTTPClientError>

    private let onBytes: (([UInt8]) -> Void)?
    private var body: [UInt8] = []
    var onEnd: ((Outcome) -> Void)?

    init(_ onBytes: (([UInt8]) -> Void)?) { self.onBytes = onBytes }

    func transfer(_ transfer: HTTPTransfer, received bytes: [UInt8], status: Int) {
        if let onBytes, status == 200 { onBytes(bytes) } else { body += bytes }
    }

    func transferEnded(_ transfer: HTTPTransfer, status: Int) {
        onEnd?(.success(HTTPAnswer(status: status, body: body)))
    }

    func transferFailed(_ transfer: HTTPTransfer, _ error: HTTPClientError) { onEnd?(.failure(error)) }
}
