import Glibc
import HTTPClient
import HTTPServer
import Reactor
import Synchronization
import Testing
import Wire

@testable import FakeModel

/// One fake on a thread of its own, and requests to it.
final class FakeWorld {
    private let thread: LoopThread
    private let port: UInt16

    init(_ flags: [String], script: String = "{}") throws {
        let options = try Options(flags)
        let script = try Script(Array(script.utf8))
        let ready = Ready()
        thread = try LoopThread.start(name: "fake") { loop in
            do {
                let log = try #require(TruthLog(path: nil))
                let site = ModelServer(loop: loop, options: options, script: script, log: log)
                let socket = try ListenSocket(host: "127.0.0.1", port: 0, isShared: false)
                let port = socket.port
                let limits = HTTPServerLimits(body: 1 << 20, header: 8192, connections: 10, idle: .seconds(30))
                let server = try HTTPServer(loop: loop, socket: socket, limits: limits)
                server.handler = site
                ready.set(.success(port))
                return (site, server)
            } catch {
                ready.set(.failure(error))
                return nil
            }
        }
        port = try ready.wait()
    }

    deinit {
        thread.loop.stop()
        thread.join()
    }

    convenience init(_ dialect: Dialect, script: String = "{}", flags: [String] = []) throws {
        try self.init(["--dialect", dialect.rawValue] + flags, script: script)
    }

    /// Sends one request and runs it to its end; a nil body is a GET.
    func fetch(_ path: String, _ body: String? = nil) throws -> Answer {
        let loop = try EventLoop(name: "test")
        let client = try HTTPClient(loop: loop, connectTimeout: .seconds(2), idleConnections: 4)
        let answer = Answer { [loop] in loop.stop() }
        let transfer = try client.start(
            url: "http://127.0.0.1:\(port)\(path)", headers: HTTPHeaders([]), body: body.map { Array($0.utf8) },
            timeouts: HTTPTimeouts(firstByte: .seconds(1), idle: .seconds(1)), delegate: answer)
        loop.run()
        _ = transfer
        return answer
    }

    func complete(_ body: String) throws -> Answer { try fetch("/v1/completions", body) }
    func chat(_ body: String) throws -> Answer { try fetch("/v1/chat/completions", body) }
}

/// The port of a fake that is being started on another thread, or why it cannot be.
private final class Ready: Sendable {
    private let result = Mutex<Result<UInt16, any Error>?>(nil)

    func set(_ value: Result<UInt16, any Error>) { result.withLock { $0 = value } }

    func wait() throws -> UInt16 {
        while true {
            if let result = result.withLock({ $0 }) { return try result.get() }
            sched_yield()
        }
    }
}

/// What came back, read with the parser of the gateway.
final class Answer: HTTPTransferDelegate {
    private(set) var status = 0
    private(set) var bytes: [UInt8] = []
    private(set) var error: HTTPClientError?
    private let done: () -> Void

    init(_ done: @escaping () -> Void) { self.done = done }

    func transfer(_ transfer: HTTPTransfer, received bytes: [UInt8], status: Int) { self.bytes += bytes }

    func transferEnded(_ transfer: HTTPTransfer, status: Int) {
        self.status = status
        done()
    }

    func transferFailed(_ transfer: HTTPTransfer, _ error: HTTPClientError) {
        self.error = error
        done()
    }

    var body: String { String(decoding: bytes, as: UTF8.self) }

    /// The chunks of a stream.
    var chunks: [UpstreamChunk] {
        get throws {
            var events = SSEParser()
            var json = JSONParser()
            return try events.push(bytes).map { data in try UpstreamChunk(parsing: data, with: &json) }
        }
    }

    /// The one body of an answer that is no stream.
    var whole: UpstreamChunk {
        get throws {
            var json = JSONParser()
            return try UpstreamChunk(parsing: bytes, with: &json)
        }
    }

    /// The text of a stream, joined.
    var text: String {
        get throws { String(decoding: try chunks.flatMap(\.text), as: UTF8.self) }
    }
}
