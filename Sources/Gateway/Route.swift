internal import Wire

/// The paths that are served.
enum Route: Equatable {
    case liveness
    case readiness
    case metrics
    case models
    case model(String)
    case inference(Endpoint)

    init?(_ path: String) {
        switch path {
        case "/health/liveness": self = .liveness
        case "/health/readiness": self = .readiness
        case "/metrics": self = .metrics
        case "/v1/models": self = .models
        case "/v1/chat/completions": self = .inference(.chat)
        case "/v1/completions": self = .inference(.completions)
        default:
            let prefix = "/v1/models/"
            guard path.hasPrefix(prefix), path.utf8.count > prefix.utf8.count else { return nil }
            self = .model(String(path.dropFirst(prefix.count)))
        }
    }

    /// For the header `allow`.
    var methods: String {
        if case .inference = self { "POST" } else { "GET, HEAD" }
    }

    func accepts(_ method: String) -> Bool {
        if case .inference = self { method == "POST" } else { method == "GET" || method == "HEAD" }
    }
}
