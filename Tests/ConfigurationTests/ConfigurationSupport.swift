import Configuration

/// The smallest file: two upstreams and a pair.
let smallestFile = """
    upstreams:
      - {name: small, model: s, url: "http://127.0.0.1:18081", dialect: llamacpp}
      - {name: large, model: l, url: "http://127.0.0.1:18082", dialect: vllm}
    pairs:
      - {name: default, slm: small, llm: large}

    """

/// An environment with what the default of `postgres.url` needs.
let testEnvironment = ["DATABASE_URL": "host=/run/postgresql dbname=relaygate"]

/// The problems of a file, each as its description; empty when it loads.
func problems(of text: String, environment: [String: String] = testEnvironment) -> [String] {
    do {
        _ = try GatewayConfiguration.parse(
            text: text, fileName: "f.yaml", environment: environment, processors: 8)
        return []
    } catch {
        return error.problems.map(\.description)
    }
}

/// Loads a file that must be right.
func loaded(
    _ text: String, environment: [String: String] = testEnvironment
) throws(ConfigurationError) -> GatewayConfiguration {
    try GatewayConfiguration.parse(
        text: text, fileName: "f.yaml", environment: environment, processors: 8)
}
