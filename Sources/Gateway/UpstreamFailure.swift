internal import HTTPClient
internal import RelayCore
internal import Wire

/// Why an attempt at an upstream failed.
struct UpstreamFailure: Error {
    /// What the relay's rules need to know.
    let reason: GenerationFailure.Reason
    /// For the ledger and the log: a bounded word, `http_500`, `idle_timeout`, `bad_stream`, …
    let label: String
    /// The server's HTTP status, when it answered with an error.
    let status: Int?
    /// The server's own words, for the log only: they may quote the prompt.
    let detail: String
    /// False only when no byte of the request can have reached the server.
    let wasSent: Bool

    init(_ error: HTTPClientError) {
        reason = error.code == .firstByteTimeout || error.code == .idleTimeout ? .timeout : .upstream
        label = error.code.rawValue
        status = nil
        detail = error.detail
        wasSent = error.wasSent
    }

    init(status: Int, fault: UpstreamFault?) {
        reason = fault?.isContextExceeded == true ? .contextExceeded : .upstream
        label = "http_\(status)"
        self.status = status
        detail = fault?.message ?? ""
        wasSent = true
    }

    /// The server's answer cannot be used.
    init(label: String, detail: String) {
        reason = .upstream
        self.label = label
        status = nil
        self.detail = detail
        wasSent = true
    }

    /// Whether another attempt may have another result.
    var mayRetry: Bool {
        if reason == .contextExceeded { return false }
        guard let status else { return true }
        return status == 429 || status == 408 || status >= 500
    }

    /// The error that the caller gets when this failure ends the request.
    var wireError: WireError {
        if reason == .contextExceeded {
            return .contextLengthExceeded("The prompt does not fit the model's context window.")
        }
        switch status {
        case 429: return .rateLimited("The model server is at its limit.")
        case 503, nil: return .unavailable("The model server cannot be reached or does not answer.")
        case .some(let status) where (400..<500).contains(status) && status != 401 && status != 403 && status != 404:
            // The server found fault with a parameter that was passed through.
            return WireError(.invalidValue, "The model server refused the request: \(detail.prefix(300))")
        default: return .upstreamFailed("The model server failed.")
        }
    }
}
