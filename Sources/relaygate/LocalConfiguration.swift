internal import LocalModels

/// The configuration that `up` writes for two servers on this machine.
enum LocalConfiguration {
    struct Upstream {
        let url: String
        let model: String
        let dialect: String
        let contextWindow: Int?

        init(_ server: LocalModelServer) {
            url = server.url
            model = server.name
            dialect = "llamacpp"
            contextWindow = 4096
        }

        init(_ probe: ServerProbe) {
            url = probe.url
            model = probe.model
            dialect = probe.dialect
            contextWindow = nil
        }
    }

    /// The file's text for one small and one large model, in this order.
    static func text(port: UInt16, connection: String, upstreams: [Upstream]) -> String {
        var text = """
            # Written by `relaygate up` at each start; to change it, copy it and start with --config.
            listen:
              port: \(port)
            postgres:
              url: \(connection.json)
            upstreams:

            """
        for (name, upstream) in zip(["slm", "llm"], upstreams) {
            text += """
                  - name: \(name)
                    model: \(upstream.model.json)
                    url: \(upstream.url.json)
                    dialect: \(upstream.dialect)

                """
            if let window = upstream.contextWindow { text += "    context_window: \(window)\n" }
        }
        return text + """
            pairs:
              - name: local
                slm: slm
                llm: llm
            models:
              - {name: prompted, pair: local, policy: prompted, max_call_tokens: 64}
              - {name: relay, pair: local, policy: relay}
              - {name: fixed-20, pair: local, policy: fixed(20), prompted: {}}
              - {name: fixed-100, pair: local, policy: fixed(100), prompted: {}}
              - {name: slm, pair: local, policy: slm}
              - {name: llm, pair: local, policy: llm}
              - {name: random-0.3, pair: local, policy: random(0.3)}

            """
    }
}
