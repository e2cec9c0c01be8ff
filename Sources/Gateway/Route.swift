internal import Wire

/// The paths that are served.
enum Route: Equatable {
    case liveness
    case readiness
    case metrics
    case models
    case model(String)
    case usage
    case inference(Endpoint)
    case verdicts

    init?(_ path: String) {
        switch path {
        case "/health/liveness": self = .liveness
        case "/health/readiness": self = .readiness
        case "/metrics": self = .metrics
        case "/v1/models": self = .models
        case "/v1/usage": self = .usage
        case "/v1/chat/completions": self = .inference(.chat)
        case "/v1/completions": self = .inference(.completions)
        case "/v1/verdicts": self = .verdicts
        default:
            let prefix = "/v1/models/"
            guard path.hasPrefix(prefix), path.utf8.count > prefix.utf8.count else { return nil }
            self = .model(String(path.dropFirst(prefix.count)))
        }
    }

    /// Whether it takes a body, which is not read of a caller without a key.
    var hasBody: Bool {
        switch self {
        case .inference, .verdicts: true
        case .liveness, .readiness, .metrics, .models, .model, .usage: false
        }
    }

    /// For the header `allow`.
    var methods: String { hasBody ? "POST" : "GET, HEAD" }

    func accepts(_ method: String) -> Bool {
        hasBody ? method == "POST" : method == "GET" || method == "HEAD"
    }
}
