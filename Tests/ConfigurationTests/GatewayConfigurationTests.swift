import Glibc
import Testing

@testable import Configuration

@Suite struct GatewayConfigurationTests {
    @Test("The smallest file gets every default of the schema")
    func defaults() throws {
        let configuration = try loaded(smallestFile)
        #expect(
            configuration.listen
                == ListenConfiguration(
                    host: "127.0.0.1", port: 8080, loops: 4, bodyLimit: 4 << 20, headerLimit: 16 << 10,
                    connectionLimit: 10_000, idleTimeout: .seconds(60), streamBuffer: 256 << 10, maxChoices: 8
                ))
        #expect(configuration.postgres.url.reveal() == "host=/run/postgresql dbname=relaygate")
        #expect(configuration.postgres.connections == 2)
        #expect(configuration.postgres.outageGrace == .seconds(2))
        #expect(
            configuration.ledger
                == LedgerConfiguration(
                    receipt: .committed, queueLimit: 64 << 20, batchLimit: 512, connections: 2, spool: nil,
                    spoolBytes: 1 << 30))
        #expect(configuration.shutdown.deadline == .seconds(30))
        #expect(configuration.log == LogConfiguration(format: .text, level: .info))
        let upstream = try #require(configuration.upstream(named: "small"))
        #expect(upstream.url.description == "http://127.0.0.1:18081/v1")
        #expect(upstream.apiKey == nil && upstream.contextWindow == nil && upstream.runningUsage == nil)
        #expect(upstream.template == .server && upstream.continuation == .completions)
        #expect(upstream.idleConnections == 256 && upstream.retries == 1 && upstream.maxTokens == 2048)
        #expect(upstream.connectTimeout == .seconds(2) && upstream.firstByteTimeout == .seconds(120))
        #expect(upstream.idleTimeout == .seconds(60))
        #expect(upstream.forbid == .auto)
    }

    @Test("Without models a single pair gives relay, prompted, slm and llm")
    func defaultModels() throws {
        let configuration = try loaded(smallestFile)
        #expect(configuration.models.map(\.name) == ["relay", "prompted", "slm", "llm"])
        #expect(configuration.models.map(\.policy) == ["relay", "prompted", "slm", "llm"])
        let relay = try #require(configuration.model(named: "relay"))
        #expect(
            relay
                == ModelConfiguration(
                    name: "relay", pair: "default", policy: "relay", maxCalls: 4, maxCallTokens: 512,
                    maxMalformed: 3,
                    onLLMEndOfSequence: .finish, onRefused: .degrade,
                    tags: .init(open: "<call>", close: "</call>"),
                    prompted: nil))
    }

    @Test("Without models several pairs give names with the pair's name before")
    func defaultModelsOfSeveralPairs() throws {
        let configuration = try loaded(
            smallestFile + "  - {name: back, slm: [large, small], llm: small}\n")
        #expect(
            configuration.models.map(\.name) == [
                "default-relay", "default-prompted", "default-slm", "default-llm", "back-relay",
                "back-prompted",
                "back-slm", "back-llm",
            ])
        #expect(configuration.pair(named: "back")?.slm == ["large", "small"])
    }

    @Test(
        "loops: auto is half the processors, at least one",
        arguments: [(1, 1), (2, 1), (3, 1), (4, 2), (64, 32)])
    func loops(_ processors: Int, _ expected: Int) throws {
        let configuration = try GatewayConfiguration.parse(
            text: smallestFile, environment: testEnvironment, processors: processors)
        #expect(configuration.listen.loops == expected)
    }

    @Test("The openai dialect renders ChatML here by default")
    func openAITemplate() throws {
        let text = smallestFile.replacing("vllm", with: "openai")
        #expect(try loaded(text).upstream(named: "large")?.template == .chatml)
    }

    @Test("Given values are read")
    func givenValues() throws {
        let configuration = try loaded(
            smallestFile + """
                listen: {host: "::1", port: 0, loops: 3, idle_timeout: 5m, body_limit: 64KiB}
                ledger: {receipt: queued}
                log: {format: json, level: warning}
                models:
                  - name: org/model:1
                    pair: default
                    policy: fixed(100)
                    max_calls: 2
                    on_llm_eos: resume
                    on_refused: fail
                    tags: {open: "[[", close: "]]"}
                  - name: p
                    pair: default
                    policy: prompted
                    prompted: {system: Hello, examples: [{question: q, answer: a}]}

                """)
        #expect(configuration.listen.host == "::1" && configuration.listen.port == 0)
        #expect(configuration.listen.loops == 3 && configuration.listen.idleTimeout == .seconds(300))
        #expect(configuration.listen.bodyLimit == 65_536 && configuration.ledger.receipt == .queued)
        #expect(configuration.log == LogConfiguration(format: .json, level: .warning))
        let model = try #require(configuration.models.first)
        #expect(model.policy == "fixed(100)" && model.maxCalls == 2)
        #expect(model.onLLMEndOfSequence == .resume && model.onRefused == .fail)
        #expect(model.tags == .init(open: "[[", close: "]]"))
        #expect(
            configuration.models[1].prompted
                == .init(system: "Hello", examples: [.init(question: "q", answer: "a")]))
    }

    @Test("Anchors, aliases and merge keys are resolved; keys written in place win")
    func anchors() throws {
        let configuration = try loaded(
            """
            upstreams:
              - &base {name: small, model: s, url: "http://a", dialect: llamacpp, retries: 3}
              - {<<: *base, name: large, model: &m l}
              - {<<: [*base], name: other, model: *m}
            pairs: [{name: p, slm: small, llm: [large, other]}]
            """)
        #expect(configuration.upstreams.map(\.name) == ["small", "large", "other"])
        #expect(configuration.upstreams.map(\.model) == ["s", "l", "l"])
        #expect(configuration.upstreams.map(\.retries) == [3, 3, 3])
    }

    @Test("A file is read by path, and a missing one is one problem")
    func load() throws {
        let path = "/tmp/relaygate-configuration-test-\(getpid()).yaml"
        try write(smallestFile, to: path)
        defer { unsafe unlink(path) }
        #expect(
            try GatewayConfiguration.load(path: path, environment: testEnvironment).pairs.count == 1)
        let error = #expect(throws: ConfigurationError.self) {
            try GatewayConfiguration.load(path: path + ".absent", environment: testEnvironment)
        }
        #expect(error?.description == "\(path).absent: cannot be read: No such file or directory")
        #expect(error?.problems.map(\.code) == [.unreadable])
        let folder = #expect(throws: ConfigurationError.self) {
            try GatewayConfiguration.load(path: "/tmp", environment: testEnvironment)
        }
        #expect(folder?.description == "/tmp: cannot be read: Is a directory")
    }
}

/// Writes a file for a test.
func write(_ text: String, to path: String) throws {
    let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    let bytes = Array(text.utf8)
    let written = unsafe Glibc.write(descriptor, bytes, bytes.count)
    try #require(written == bytes.count)
}
