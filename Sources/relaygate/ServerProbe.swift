internal import Arguments
internal import HTTPClient
internal import Reactor
internal import Wire

/// What a model server says of itself: its first model and its kind.
struct ServerProbe {
    let url: String
    let model: String
    /// A dialect's name in the configuration.
    let dialect: String

    /// Asks `GET /models`. `url` may end in `/v1` or leave it out.
    init(_ url: String) throws(CommandExit) {
        let base = url.hasSuffix("/") ? String(url.dropLast()) : url
        let api = base.hasSuffix("/v1") ? base : base + "/v1"
        let answer: HTTPAnswer
        do {
            answer = try EventLoop.running("probe") { actor in
                let client = try HTTPClient(loop: actor.loop, connectTimeout: .seconds(5), idleConnections: 1)
                return try await client.fetch(
                    url: api + "/models", headers: HTTPHeaders([]), body: nil,
                    timeouts: HTTPTimeouts(firstByte: .seconds(10), idle: .seconds(10)))
            }
        } catch {
            throw .failure("no model server answers at \(api)/models (\(error)); start it or correct the URL")
        }
        guard answer.status == 200 else {
            throw .failure("\(api)/models answers with HTTP \(answer.status); a server that wants a key needs --config")
        }
        var parser = JSONParser()
        let found = try? parser.read(answer.body) { (root) throws(WireError) in
            (model: root["data"]?[0]?["id"]?.string, owner: root["data"]?[0]?["owned_by"]?.string)
        }
        guard let model = found?.model else { throw .failure("\(api)/models lists no model; load one") }
        self.url = api
        self.model = model
        dialect =
            switch found?.owner {
            case "llamacpp": "llamacpp"
            case "vllm": "vllm"
            case "sglang": "sglang"
            default: "openai"
            }
    }
}
