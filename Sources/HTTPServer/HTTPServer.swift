internal import CMicroHTTPD
internal import Glibc
package import Reactor

/// What the server asks of the code above it. *Loop thread.*
package protocol HTTPHandler: AnyObject {
    /// The head of a request is here, its body is not. A response that is given now refuses the body.
    func began(_ exchange: HTTPExchange)
    /// The request is whole. The handler answers now or later.
    func received(_ exchange: HTTPExchange)
}

/// Limits of one server.
package struct HTTPServerLimits: Sendable {
    /// Bytes of a request's body.
    package var body: Int
    /// Bytes of a request's line and headers together.
    package var header: Int
    /// Connections open at once.
    package var connections: Int
    /// How long a connection may be silent.
    package var idle: Duration

    package init(body: Int, header: Int, connections: Int, idle: Duration) {
        self.body = body
        self.header = header
        self.connections = connections
        self.idle = idle
    }
}

/// An HTTP/1.1 server on one event loop: libmicrohttpd without threads, its epoll set inside ours.
///
/// The library does not look at a connection while it is suspended, so a caller who leaves would go unnoticed; our own
/// watch on the socket for the peer's closing wakes it.
@safe package final class HTTPServer {
    /// Who answers.
    package weak var handler: (any HTTPHandler)?
    package let limits: HTTPServerLimits
    private let loop: EventLoop
    private var daemon: ServerDaemon?
    private var registration: Registration?
    private var tick: LoopTimer?
    private var isRunScheduled = false
    private var isRunning = false
    private var isStopping = false
    private var live: [ObjectIdentifier: HTTPExchange] = [:]
    private var corked: Set<Int32> = []
    private var drainedExchanges: [HTTPExchange] = []

    /// Serves the connections of `socket`, which it owns from here. Throws what the library does not say: that it could
    /// not start.
    package init(
        loop: EventLoop, socket: consuming ListenSocket, limits: HTTPServerLimits
    ) throws(SystemError) {
        self.loop = loop
        self.limits = limits
        var options = unsafe rg_mhd_options()
        unsafe options.listen_fd = socket.release()
        unsafe options.connection_limit = UInt32(clamping: limits.connections)
        unsafe options.idle_timeout_s = UInt32(clamping: max(1, limits.idle.components.seconds))
        // What is read and what is written share the pool: room for the headers and for a block of the answer.
        unsafe options.connection_memory = max(8192, limits.header) + 8192
        unsafe options.on_request = onRequest
        unsafe options.on_completed = onCompleted
        unsafe options.on_connection = onConnection
        unsafe options.context = Unmanaged.passUnretained(self).toOpaque()
        guard let daemon = unsafe ServerDaemon(&options) else { throw SystemError("MHD_start_daemon", code: EINVAL) }
        let epoll = unsafe rg_mhd_epoll_fd(daemon.raw)
        self.daemon = consume daemon
        registration = try loop.register(epoll, .read) { [unowned self] _ in run() }
        scheduleTick()
    }

    deinit { stop() }

    /// Accepts no more connections; those that are open go on.
    package func quiesce() {
        guard let raw = unsafe rawDaemon else { return }
        let socket = unsafe MHD_quiesce_daemon(raw)
        if socket >= 0 { close(socket) }
    }

    /// Closes every connection and ends the server.
    package func stop() {
        guard let raw = unsafe rawDaemon else { return }
        tick?.cancel()
        registration?.cancel()
        // The library refuses to stop while a connection is suspended.
        isStopping = true
        for exchange in live.values { exchange.abort() }
        unsafe MHD_run(raw)
        precondition(!live.values.contains { $0.isSuspended }, "a stopping server suspends nobody")
        daemon = nil
    }

    private var rawDaemon: OpaquePointer? {
        switch daemon {
        case .some(let daemon): unsafe daemon.raw
        case .none: nil
        }
    }

    // MARK: Running the library

    /// A connection is about to write. The library sends a response's head, each piece and the end by calls of their
    /// own; corked, what it sends until it has nothing left to do leaves as one packet.
    func needsRun(corking fd: Int32) {
        if fd >= 0, corked.insert(fd).inserted { HTTPServer.setCork(fd, 1) }
        needsRun()
    }

    private static func setCork(_ fd: Int32, _ isOn: Int32) {
        var value = isOn
        _ = unsafe setsockopt(fd, Int32(IPPROTO_TCP), TCP_CORK, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    private func uncork() {
        for fd in corked { HTTPServer.setCork(fd, 0) }
        corked.removeAll(keepingCapacity: true)
    }

    /// The library has work that no descriptor announces: run it before the loop sleeps.
    func needsRun() {
        guard !isRunScheduled else { return }
        isRunScheduled = true
        loop.atTurnEnd { [weak self] in self?.run() }
    }

    private func run() {
        guard let raw = unsafe rawDaemon, !isRunning else { return }
        isRunning = true
        isRunScheduled = false
        unsafe MHD_run(raw)
        isRunning = false
        if unsafe rg_mhd_is_busy(raw) != 0 { needsRun() } else { uncork() }
        let drained = drainedExchanges
        drainedExchanges = []
        for exchange in drained { exchange.onDrain?() }
    }

    func drained(_ exchange: HTTPExchange) { drainedExchanges.append(exchange) }

    /// Idle connections are found by looking once a second: their time limit needs to be no more exact than that.
    private func scheduleTick() {
        tick = loop.schedule(after: .seconds(1)) { [weak self] in
            self?.closeSlowConnections()
            self?.run()
            self?.scheduleTick()
        }
    }

    // MARK: Connections

    /// Our own watch on one connection's socket.
    private struct Watch {
        var registration: Registration
        weak var exchange: HTTPExchange?
        /// When the connection was made, the last response ended, or the head of the request arrived.
        var since: ContinuousClock.Instant
    }

    /// Closes connections whose request does not get on: the library's own limit begins anew with each byte, which a
    /// caller who sends one byte a minute can use to hold a connection for ever. A head may take twice the idle limit,
    /// because its time begins with the last response; a body then as long again.
    private func closeSlowConnections() {
        for (fd, watch) in watches where loop.now - watch.since > limits.idle * 2 {
            if watch.exchange?.isDispatched != true { shutdown(fd, Int32(SHUT_RDWR)) }
        }
    }

    private var watches: [Int32: Watch] = [:]

    /// Connections accepted since the start.
    package private(set) var connectionsAccepted = 0

    fileprivate func connectionStarted(_ connection: OpaquePointer) {
        connectionsAccepted += 1
        let fd = unsafe rg_mhd_connection_fd(connection)
        guard fd >= 0 else { return }
        let registration = try? loop.register(fd, [.peerClosed, .edge]) { [weak self] ready in
            if ready.isPeerClosed { self?.peerClosed(fd) }
        }
        if let registration { watches[fd] = Watch(registration: registration, exchange: nil, since: loop.now) }
    }

    /// The caller has closed its side. A request that is not whole will never be: the library, which may have read all
    /// that came before the end and waits for more, is told by closing our side too.
    private func peerClosed(_ fd: Int32) {
        if let exchange = watches[fd]?.exchange, exchange.isDispatched { return exchange.peerClosed() }
        loop.atTurnEnd { [weak self] in
            guard let watch = self?.watches[fd], watch.exchange?.isDispatched != true else {
                self?.watches[fd]?.exchange?.peerClosed()
                return
            }
            shutdown(fd, Int32(SHUT_RDWR))
        }
    }

    fileprivate func connectionClosed(_ connection: OpaquePointer) {
        let fd = unsafe rg_mhd_connection_fd(connection)
        corked.remove(fd)
        watches.removeValue(forKey: fd)?.registration.cancel()
    }

    // MARK: Requests

    fileprivate func begin(_ connection: OpaquePointer, method: String, path: String) -> HTTPExchange {
        let exchange = unsafe HTTPExchange(
            connection: connection, server: self, method: method, path: HTTPServer.originForm(path))
        let fd = unsafe rg_mhd_connection_fd(connection)
        watches[fd]?.exchange = exchange
        watches[fd]?.since = loop.now
        live[ObjectIdentifier(exchange)] = exchange
        if isStopping { exchange.abort() } else { handler?.began(exchange) }
        return exchange
    }

    /// The path of a target in absolute form, which a server has to take (RFC 9112, section 3.2.2).
    private static func originForm(_ target: String) -> String {
        guard !target.hasPrefix("/"), let scheme = target.firstRange(of: "://") else { return target }
        let rest = target[scheme.upperBound...]
        return rest.firstIndex(of: "/").map { String(rest[$0...]) } ?? "/"
    }

    fileprivate func end(_ exchange: HTTPExchange, on connection: OpaquePointer, isComplete: Bool) {
        let fd = unsafe rg_mhd_connection_fd(connection)
        watches[fd]?.exchange = nil
        watches[fd]?.since = loop.now
        live[ObjectIdentifier(exchange)] = nil
        exchange.close(isComplete: isComplete)
    }

    /// Adds a piece of the body. A body that nobody wants is read and thrown away up to a bound, because closing the
    /// connection on a caller who is still sending would lose the answer that says why.
    fileprivate func take(_ exchange: HTTPExchange, _ piece: UnsafeRawBufferPointer) -> MHD_Result {
        exchange.bodySize += piece.count
        if exchange.bodySize > limits.body + HTTPServer.discardLimit { return rg_mhd_no }
        if exchange.isBodyOver || exchange.isAnswered {
            exchange.body = []
        } else {
            unsafe exchange.body.append(contentsOf: piece)
        }
        return rg_mhd_yes
    }

    private static let discardLimit = 64 << 20

    fileprivate func advance(_ exchange: HTTPExchange, _ connection: OpaquePointer) -> MHD_Result {
        if !exchange.isDispatched {
            exchange.isDispatched = true
            if case .none = exchange.response { handler?.received(exchange) }
        }
        return unsafe queue(exchange, connection)
    }

    fileprivate func queue(_ exchange: HTTPExchange, _ connection: OpaquePointer) -> MHD_Result {
        let made: OpaquePointer?
        let code: Int
        let fields: [(String, String)]
        switch exchange.response {
        case .none:
            exchange.suspend()
            return rg_mhd_yes
        case .abort:
            return rg_mhd_no
        case .whole(let status, let headers, let body):
            (code, fields) = (status, headers)
            unsafe made = body.withUnsafeBytes {
                unsafe MHD_create_response_from_buffer(
                    $0.count, UnsafeMutableRawPointer(mutating: $0.baseAddress), rg_mhd_copy)
            }
        case .stream(let status, let headers):
            (code, fields) = (status, headers)
            let context = unsafe Unmanaged.passRetained(exchange).toOpaque()
            unsafe made = MHD_create_response_from_callback(UInt64.max, 4096, readStream, context, releaseStream)
        }
        guard let made = unsafe made else { return rg_mhd_no }
        for (name, value) in fields { _ = unsafe MHD_add_response_header(made, name, value) }
        exchange.isQueued = true
        let result = unsafe MHD_queue_response(connection, UInt32(code), made)
        unsafe MHD_destroy_response(made)
        return result
    }
}

// MARK: Callbacks of the library: translate and return.

private func onRequest(
    context: UnsafeMutableRawPointer?, connection: OpaquePointer?, url: UnsafePointer<CChar>?,
    method: UnsafePointer<CChar>?, version: UnsafePointer<CChar>?, upload: UnsafePointer<CChar>?,
    size: UnsafeMutablePointer<Int>?, slot: UnsafeMutablePointer<UnsafeMutableRawPointer?>?
) -> MHD_Result {
    guard let context = unsafe context, let connection = unsafe connection, let url = unsafe url,
        let method = unsafe method, let size = unsafe size, let slot = unsafe slot
    else { return rg_mhd_no }
    let server = unsafe Unmanaged<HTTPServer>.fromOpaque(context).takeUnretainedValue()
    guard let known = unsafe slot.pointee else {
        let exchange = unsafe server.begin(
            connection, method: String(cString: method), path: String(cString: url))
        unsafe slot.pointee = Unmanaged.passRetained(exchange).toOpaque()
        guard exchange.isLast else { return rg_mhd_yes }
        exchange.isDispatched = true
        return unsafe server.queue(exchange, connection)
    }
    let exchange = unsafe Unmanaged<HTTPExchange>.fromOpaque(known).takeUnretainedValue()
    if exchange.isQueued { return rg_mhd_yes }
    let count = unsafe size.pointee
    guard count > 0, let upload = unsafe upload else { return unsafe server.advance(exchange, connection) }
    unsafe size.pointee = 0
    return unsafe server.take(exchange, UnsafeRawBufferPointer(start: UnsafeRawPointer(upload), count: count))
}

private func onCompleted(
    context: UnsafeMutableRawPointer?, connection: OpaquePointer?,
    slot: UnsafeMutablePointer<UnsafeMutableRawPointer?>?, code: MHD_RequestTerminationCode
) {
    guard let context = unsafe context, let connection = unsafe connection, let slot = unsafe slot,
        let known = unsafe slot.pointee
    else { return }
    unsafe slot.pointee = nil
    let exchange = unsafe Unmanaged<HTTPExchange>.fromOpaque(known).takeRetainedValue()
    unsafe Unmanaged<HTTPServer>.fromOpaque(context).takeUnretainedValue()
        .end(exchange, on: connection, isComplete: code == rg_mhd_completed)
}

private func onConnection(
    context: UnsafeMutableRawPointer?, connection: OpaquePointer?,
    slot: UnsafeMutablePointer<UnsafeMutableRawPointer?>?, code: MHD_ConnectionNotificationCode
) {
    guard let context = unsafe context, let connection = unsafe connection else { return }
    let server = unsafe Unmanaged<HTTPServer>.fromOpaque(context).takeUnretainedValue()
    if code == rg_mhd_started {
        unsafe server.connectionStarted(connection)
    } else {
        unsafe server.connectionClosed(connection)
    }
}

private func readStream(
    context: UnsafeMutableRawPointer?, position: UInt64, buffer: UnsafeMutablePointer<CChar>?, size: Int
) -> Int {
    guard let context = unsafe context, let buffer = unsafe buffer else { return rg_mhd_end_with_error }
    let exchange = unsafe Unmanaged<HTTPExchange>.fromOpaque(context).takeUnretainedValue()
    if case .abort = exchange.response { return rg_mhd_end_with_error }
    if exchange.buffered > 0 {
        return unsafe exchange.read(into: UnsafeMutableRawBufferPointer(start: buffer, count: size))
    }
    if exchange.isStreamFinished { return rg_mhd_end_of_stream }
    exchange.suspend()
    return 0
}

private func releaseStream(context: UnsafeMutableRawPointer?) {
    guard let context = unsafe context else { return }
    unsafe Unmanaged<HTTPExchange>.fromOpaque(context).release()
}
