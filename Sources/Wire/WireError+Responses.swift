/// The responses that routes and admission give, each with its wording in one place.
extension WireError {
    /// 401 for a key that is missing, unknown, revoked or expired; which of them is not said.
    package static func invalidAPIKey() -> WireError {
        WireError(.invalidAPIKey, "Incorrect or missing API key. Send it as 'Authorization: Bearer <key>'.")
    }

    /// 403 for a key that is valid but may not do this.
    package static func permissionDenied(_ what: String) -> WireError {
        WireError(.permissionDenied, "This API key may not \(what). Ask the operator of the gateway.")
    }

    /// 404 for a model name that is not served, or not to this tenant.
    package static func modelNotFound(_ name: String) -> WireError {
        let shown = String(name.prefix(80))
        return WireError(
            .modelNotFound, "The model '\(shown)' does not exist. GET /v1/models lists the models.", param: "model")
    }

    /// 404 for a path that is not served.
    package static func notFound(method: String, path: String) -> WireError {
        WireError(.notFound, "There is no \(method.prefix(16)) \(path.prefix(100)) here.")
    }

    /// 405 for a path that is served under other methods.
    package static func methodNotAllowed(allowed: String) -> WireError {
        WireError(.methodNotAllowed, "This path accepts only \(allowed).")
    }

    /// 413 for a body over the limit.
    ///
    /// - Parameter limit: the limit in bytes.
    package static func requestTooLarge(limit: Int) -> WireError {
        WireError(.requestTooLarge, "The request body is larger than \(limit) bytes. Send a shorter prompt.")
    }

    /// 415 for a body that is not declared as JSON.
    package static func unsupportedMediaType() -> WireError {
        WireError(.unsupportedMediaType, "The body must be JSON. Send 'Content-Type: application/json'.")
    }

    /// 429 for too many requests at a time or per minute; clients may retry.
    package static func rateLimited(_ what: String) -> WireError {
        WireError(.rateLimitExceeded, "\(what) Wait for as long as 'retry-after' says and send the request again.")
    }

    /// 429 for an exhausted budget; a retry before the window's end is of no use.
    package static func insufficientQuota(
        _ what: String, isOver: Bool = false, quota: WireError.Quota? = nil
    ) -> WireError {
        let remedy = isOver ? "Ask" : "Wait for the next window or ask"
        return WireError(.insufficientQuota, "\(what) \(remedy) the operator for a larger budget.", quota: quota)
    }

    /// 502 for a model server that failed after all retries.
    package static func upstreamFailed(_ what: String) -> WireError {
        WireError(.upstreamError, what)
    }

    /// 503 for a gateway that starts, drains, or has lost its database.
    package static func unavailable(_ what: String) -> WireError {
        WireError(.unavailable, "\(what) Send the request again later.")
    }

    /// 400 for a prompt that does not fit the context window of a model.
    package static func contextLengthExceeded(_ what: String) -> WireError {
        WireError(.contextLengthExceeded, "\(what) Send a shorter prompt.", param: "messages")
    }
}
