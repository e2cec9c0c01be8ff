/// Why a transfer did not come to its end.
package struct HTTPClientError: Error, CustomStringConvertible, Sendable {
    package enum Code: String, Sendable {
        /// No connection could be made: name, route, refusal, TLS.
        case connectFailed = "connect_failed"
        /// Connected, but the first byte of the answer did not come in time.
        case firstByteTimeout = "first_byte_timeout"
        /// The answer began and then was silent for too long.
        case idleTimeout = "idle_timeout"
        /// The connection broke while it was used, or the answer ended before its end.
        case broken
        /// The request could not be made at all: a bad URL, no memory.
        case invalid
    }

    package let code: Code
    /// False only when no byte of the request can have reached the server.
    package let wasSent: Bool
    /// What libcurl says. Holds no header and no body.
    package let detail: String

    package var description: String { "\(code.rawValue): \(detail)" }
}
