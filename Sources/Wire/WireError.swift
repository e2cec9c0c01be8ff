/// A request, a body or a stream that cannot be served, in the terms in which OpenAI's API reports it.
///
/// One type carries both directions: what the caller did wrong (4xx) and what a model server sent that cannot be used
/// (502). The message says the remedy and holds nothing but what the caller may see.
package struct WireError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What went wrong. The raw value is `error.code` in the body and a bounded label for metrics.
    package let code: Code

    /// One sentence for a person, remedy included.
    package let message: String

    /// The field at fault in the notation `messages[2].content`, or nil when no field is.
    package let param: String?

    /// The budget that is used up, for errors that come of one.
    package let quota: Quota?

    /// Which budget refused, and when it begins again.
    package struct Quota: Equatable, Sendable {
        package let budget: String
        /// RFC 3339, or nil when it never does.
        package let resetsAt: String?

        package init(budget: String, resetsAt: String?) {
            self.budget = budget
            self.resetsAt = resetsAt
        }
    }

    /// The HTTP status that goes with the code.
    package var status: Int { code.status }

    /// The value of `error.type`.
    package var type: String { code.type }

    /// The code as a metric label; one of as many values as there are codes.
    package var label: String { code.rawValue }

    /// Creates an error; texts that come from outside are cut, so that a body cannot make its own error large.
    package init(_ code: Code, _ message: String, param: String? = nil, quota: Quota? = nil) {
        self.code = code
        self.message = String(message.prefix(Self.messageLimit))
        self.param = param.map { String($0.prefix(Self.paramLimit)) }
        self.quota = quota
    }

    package var description: String {
        guard let param else { return "\(status) \(code.rawValue): \(message)" }
        return "\(status) \(code.rawValue) (\(param)): \(message)"
    }

    private static let messageLimit = 1000
    private static let paramLimit = 100
}

extension WireError {
    /// Every code this gateway answers with, and the status and type that go with it.
    package enum Code: String, CaseIterable, Sendable {
        case invalidJSON = "invalid_json"
        case invalidType = "invalid_type"
        case invalidValue = "invalid_value"
        case missingParameter = "missing_required_parameter"
        case duplicateParameter = "duplicate_parameter"
        case unknownParameter = "unknown_parameter"
        case unsupportedParameter = "unsupported_parameter"
        case contextLengthExceeded = "context_length_exceeded"
        case invalidRequest = "invalid_request"
        case invalidAPIKey = "invalid_api_key"
        case permissionDenied = "permission_denied"
        case modelNotFound = "model_not_found"
        case notFound = "not_found"
        case methodNotAllowed = "method_not_allowed"
        case conflict
        case requestTooLarge = "request_too_large"
        case unsupportedMediaType = "unsupported_media_type"
        case rateLimitExceeded = "rate_limit_exceeded"
        case insufficientQuota = "insufficient_quota"
        case internalError = "internal_error"
        case upstreamError = "upstream_error"
        case invalidUpstreamBody = "invalid_upstream_body"
        case unavailable = "service_unavailable"

        /// The HTTP status.
        package var status: Int {
            switch self {
            case .invalidJSON, .invalidType, .invalidValue, .missingParameter, .duplicateParameter, .unknownParameter,
                .unsupportedParameter, .contextLengthExceeded, .invalidRequest:
                400
            case .invalidAPIKey: 401
            case .permissionDenied: 403
            case .modelNotFound, .notFound: 404
            case .methodNotAllowed: 405
            case .conflict: 409
            case .requestTooLarge: 413
            case .unsupportedMediaType: 415
            case .rateLimitExceeded, .insufficientQuota: 429
            case .internalError: 500
            case .upstreamError, .invalidUpstreamBody: 502
            case .unavailable: 503
            }
        }

        /// The value of `error.type`, which clients use to choose an exception class.
        package var type: String {
            switch self {
            case .invalidAPIKey: "authentication_error"
            case .permissionDenied: "permission_error"
            case .rateLimitExceeded: "rate_limit_error"
            case .insufficientQuota: "insufficient_quota"
            case .internalError, .upstreamError, .invalidUpstreamBody, .unavailable: "server_error"
            default: "invalid_request_error"
            }
        }
    }
}

extension WireError {
    /// The body of the response: `{"error":{"message","type","param","code"}}`.
    package func body() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(message.utf8.count + 128)
        append(to: &bytes)
        return bytes
    }

    /// Appends the body to a buffer, for the error event of a stream that has begun.
    package func append(to bytes: inout [UInt8]) {
        bytes.append(json: #"{"error":{"message":"#)
        bytes.append(jsonString: message)
        bytes.append(json: #","type":""#)
        bytes.append(contentsOf: type.utf8)
        bytes.append(json: #"","param":"#)
        if let param { bytes.append(jsonString: param) } else { bytes.append(json: "null") }
        bytes.append(json: #","code":""#)
        bytes.append(contentsOf: code.rawValue.utf8)
        bytes.append(json: #"""#)
        if let quota {
            bytes.append(json: #","budget":"#)
            bytes.append(jsonString: quota.budget)
            bytes.append(json: #","resets_at":"#)
            bytes.append(jsonString: quota.resetsAt)
        }
        bytes.append(json: "}}")
    }
}
