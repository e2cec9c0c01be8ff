import Glibc
import HTTPClient
import HTTPServer
import Reactor
import Testing

/// Answers by path; keeps what it saw.
private final class Site: HTTPHandler {
    let loop: EventLoop
    var closed: [(path: String, isComplete: Bool)] = []
    var open: [HTTPExchange] = []
    var wrote = 0

    init(_ loop: EventLoop) { self.loop = loop }

    func began(_ exchange: HTTPExchange) {
        exchange.onClose = { [weak self] isComplete in self?.closed.append((exchange.path, isComplete)) }
        if exchange.path == "/refused" { exchange.respond(status: 413, headers: [], body: Array("too large".utf8)) }
    }

    func received(_ exchange: HTTPExchange) {
        open.append(exchange)
        switch exchange.path {
        case "/echo":
            exchange.respond(status: 200, headers: [("x-test", "yes")], body: exchange.body)
        case "/late":
            loop.schedule(after: .milliseconds(10)) {
                exchange.respond(status: 201, headers: [], body: Array((exchange.header("X-Name") ?? "-").utf8))
            }
        case "/stream":
            exchange.startStream(status: 200, headers: [("content-type", "text/event-stream")])
            step(exchange, 0)
        case "/flood":
            exchange.startStream(status: 200, headers: [])
            flood(exchange)
        case "/dropped":
            // The first one is answered, so that its connection is kept; later ones are taken and never answered.
            if open.count == 1 { exchange.respond(status: 200, headers: [], body: []) } else { exchange.abort() }
        case "/silent":
            exchange.startStream(status: 200, headers: [])
            exchange.write([65])
        default:
            break
        }
    }

    private func step(_ exchange: HTTPExchange, _ index: Int) {
        guard index < 5 else { return exchange.finishStream() }
        exchange.write(Array("<\(index)>".utf8))
        loop.schedule(after: .milliseconds(2)) { self.step(exchange, index + 1) }
    }

    /// Writes 8 MiB, never more than the high-water mark ahead of the reader.
    private func flood(_ exchange: HTTPExchange) {
        let piece = [UInt8](repeating: 7, count: 16384)
        while wrote < 8 << 20 {
            if exchange.isOver(highWater: 65536) {
                exchange.onDrain = { [unowned self, unowned exchange] in flood(exchange) }
                return
            }
            exchange.write(piece)
            wrote += piece.count
        }
        exchange.finishStream()
    }
}

private final class Reader: HTTPTransferDelegate {
    var bytes: [UInt8] = []
    var pieces = 0
    var status = 0
    var error: HTTPClientError?
    var onPiece: ((HTTPTransfer) -> Void)?
    let done: () -> Void

    init(_ done: @escaping () -> Void) { self.done = done }

    func transfer(_ transfer: HTTPTransfer, received bytes: [UInt8], status: Int) {
        self.bytes += bytes
        pieces += 1
        onPiece?(transfer)
    }
    func transferEnded(_ transfer: HTTPTransfer, status: Int) {
        self.status = status
        done()
    }
    func transferFailed(_ transfer: HTTPTransfer, _ error: HTTPClientError) {
        self.error = error
        done()
    }
    var text: String { String(decoding: bytes, as: UTF8.self) }
}

private struct World {
    let loop: EventLoop
    let site: Site
    let server: HTTPServer
    let client: HTTPClient
    let port: UInt16

    init(body: Int = 1 << 20, idle: Duration = .seconds(30)) throws {
        loop = try EventLoop(name: "test")
        site = Site(loop)
        let socket = try ListenSocket(host: "127.0.0.1", port: 0, isShared: false)
        port = socket.port
        let limits = HTTPServerLimits(body: body, header: 8192, connections: 100, idle: idle)
        server = try HTTPServer(loop: loop, socket: socket, limits: limits)
        server.handler = site
        client = try HTTPClient(loop: loop, connectTimeout: .seconds(2), idleConnections: 16)
        loop.schedule(after: .seconds(20)) { [loop] in loop.stop() }
    }

    func get(
        _ path: String, _ reader: Reader, body: [UInt8]? = nil, idle: Duration = .seconds(10),
        headers: [(name: String, value: String)] = []
    ) throws -> HTTPTransfer {
        try client.start(
            url: "http://127.0.0.1:\(port)\(path)", headers: HTTPHeaders(headers), body: body,
            timeouts: HTTPTimeouts(firstByte: .seconds(5), idle: idle), delegate: reader)
    }

    /// One request, run to its end.
    func fetch(_ path: String, body: [UInt8]? = nil, headers: [(name: String, value: String)] = []) throws -> Reader {
        let reader = Reader { [loop] in loop.stop() }
        _ = try get(path, reader, body: body, headers: headers)
        loop.run()
        return reader
    }
}

@Suite struct HTTPRoundTripTests {
    @Test func `a body comes back as it went`() throws {
        let body = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let reader = try World().fetch("/echo", body: body)
        #expect(reader.status == 200)
        #expect(reader.bytes == body)
    }

    @Test func `a late answer arrives, with a header of the request in it`() throws {
        let reader = try World().fetch("/late", body: [1], headers: [(name: "x-name", value: "Ada")])
        #expect(reader.status == 201)
        #expect(reader.text == "Ada")
    }

    @Test func `a header value with a line break is not sent`() throws {
        let reader = try World().fetch("/late", body: [1], headers: [(name: "x-name", value: "a\r\nx-name: b")])
        #expect(reader.text == "-")
    }

    @Test func `a stream arrives in pieces and whole`() throws {
        let reader = try World().fetch("/stream")
        #expect(reader.text == "<0><1><2><3><4>")
        #expect(reader.pieces > 1)
    }

    @Test func `an answer given at the head refuses the body`() throws {
        let reader = try World().fetch("/refused", body: [UInt8](repeating: 0, count: 100_000))
        #expect(reader.status == 413)
        #expect(reader.text == "too large")
    }

    @Test func `a request whose kept connection dies is not sent again behind the caller's back`() throws {
        let world = try World()
        let reader = Reader { [loop = world.loop] in loop.stop() }
        let first = Reader {
            // When the first transfer is over its connection waits for the next one.
            world.loop.atTurnEnd { _ = try? world.get("/dropped", reader, body: [2]) }
        }
        _ = try world.get("/dropped", first, body: [1])
        world.loop.run()
        #expect(first.status == 200)
        #expect(reader.error?.code == .broken)
        #expect(reader.error?.wasSent == true)
        #expect(world.site.open.count == 2, "what was executed once is told once")
    }

    @Test func `a slow reader holds the writer back`() throws {
        let world = try World()
        let reader = Reader { [loop = world.loop] in loop.stop() }
        let transfer = try world.get("/flood", reader)
        var mostAhead = 0
        reader.onPiece = { transfer in
            transfer.pause()
            mostAhead = max(mostAhead, world.site.open[0].buffered)
            world.loop.schedule(after: .microseconds(200)) { transfer.resume() }
        }
        _ = transfer
        world.loop.run()
        #expect(reader.bytes.count == 8 << 20)
        #expect(mostAhead <= 65536 + 16384)
    }

    @Test func `a client that leaves a suspended stream is noticed at once`() throws {
        let world = try World()
        let reader = Reader {}
        reader.onPiece = { transfer in transfer.cancel() }
        _ = try world.get("/silent", reader)
        world.loop.schedule(after: .milliseconds(300)) { [loop = world.loop] in loop.stop() }
        world.loop.run()
        #expect(world.site.closed.map(\.path) == ["/silent"])
        #expect(world.site.closed.map(\.isComplete) == [false])
    }

    @Test func `a complete exchange is told as complete`() throws {
        let world = try World()
        _ = try world.fetch("/echo", body: [1])
        #expect(world.site.closed.map(\.isComplete) == [true])
    }

    @Test func `silence in the middle of an answer is an idle timeout`() throws {
        let world = try World()
        let reader = Reader { [loop = world.loop] in loop.stop() }
        _ = try world.get("/silent", reader, idle: .milliseconds(50))
        world.loop.run()
        #expect(reader.error?.code == .idleTimeout)
        #expect(reader.error?.wasSent == true)
    }

    @Test func `a refused connection is known not to have been sent`() throws {
        let world = try World()
        // The socket is bound and closed again, so nobody listens there.
        let free = try ListenSocket(host: "127.0.0.1", port: 0, isShared: false).port
        let reader = Reader { [loop = world.loop] in loop.stop() }
        _ = try world.client.start(
            url: "http://127.0.0.1:\(free)/", headers: HTTPHeaders([]), body: nil,
            timeouts: HTTPTimeouts(firstByte: .seconds(1), idle: .seconds(1)), delegate: reader)
        world.loop.run()
        #expect(reader.error?.code == .connectFailed)
        #expect(reader.error?.wasSent == false)
    }

    @Test func `a port in use is an error that says so`() throws {
        let first = try ListenSocket(host: "127.0.0.1", port: 0, isShared: false)
        #expect(throws: SystemError("bind", code: EADDRINUSE)) {
            _ = try ListenSocket(host: "127.0.0.1", port: first.port, isShared: false).port
        }
    }

    @Test func `connections are reused`() throws {
        let world = try World()
        var left = 20
        var next: (() -> Void)?
        var readers: [Reader] = []
        next = {
            guard left > 0 else { return world.loop.stop() }
            left -= 1
            let reader = Reader { next?() }
            readers.append(reader)
            _ = try? world.get("/echo", reader, body: [1])
        }
        next?()
        world.loop.run()
        #expect(readers.filter { $0.status == 200 }.count == 20)
        #expect(world.server.connectionsAccepted == 1)
    }

    @Test func `a head that never ends holds its connection for twice the idle limit, whatever trickles in`() throws {
        let world = try World(idle: .milliseconds(300))
        let fd = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(fd) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = world.port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(fd, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        try #require(connected == 0)
        _ = write(fd, "GET / HTTP/1.1\r\nx: ", 19)
        let started = ContinuousClock.now
        var trickle: (() -> Void)?
        trickle = {
            _ = send(fd, "a", 1, Int32(MSG_NOSIGNAL))
            world.loop.schedule(after: .milliseconds(100)) { trickle?() }
        }
        trickle?()
        var closedAfter: Duration?
        let registration = try world.loop.register(fd, .peerClosed) { _ in
            closedAfter = ContinuousClock.now - started
            world.loop.stop()
        }
        world.loop.run()
        registration.cancel()
        trickle = nil
        let after = try #require(closedAfter)
        // Twice the limit, then a look each second; the rest is a machine that does other things, too.
        #expect(after >= .milliseconds(600) && after < .seconds(15))
    }
}
