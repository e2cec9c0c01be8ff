internal import CMicroHTTPD

/// One HTTP request and its response. *Loop thread.*
///
/// A response is either whole (`respond`) or streamed (`startStream`, `write`…, `finishStream`); a second one traps.
@safe package final class HTTPExchange {
    package let method: String
    /// The path without the query, not decoded.
    package let path: String
    /// The request's body, whole when the handler gets the exchange.
    package internal(set) var body: [UInt8] = []
    /// The body was longer than the limit and has been thrown away.
    package var isBodyOver: Bool { server.map { bodySize > $0.limits.body } ?? false }
    /// Called once when the exchange is over: `true` when the response was sent to its end, `false` when the connection
    /// went away before.
    package var onClose: ((_ isComplete: Bool) -> Void)?
    /// Called when a stream that was over its high-water mark has drained.
    package var onDrain: (() -> Void)?

    /// What the handler keeps with the exchange until it is over.
    package var context: AnyObject?

    enum Response {
        /// The handler has not answered; `whole` and `stream` follow.
        case none
        /// A complete response waits to be queued or is queued.
        case whole(status: Int, headers: [(String, String)], body: [UInt8])
        /// A stream waits to be queued or is queued.
        case stream(status: Int, headers: [(String, String)])
        /// The connection is to be closed.
        case abort
    }

    var response = Response.none
    var isQueued = false
    /// The answer leaves at once, whatever of the body is still to come, and the connection is closed behind it.
    var isLast = false
    var isSuspended = false
    var isDispatched = false
    var bodySize = 0
    /// The exchange is over, or its connection is gone: nothing that is said reaches the caller.
    package var isClosed: Bool { isOver || hasLeft }
    /// The library has let the exchange go.
    private var isOver = false
    /// The caller has closed its side; the library will find out.
    private var hasLeft = false
    var isStreamFinished = false
    private var isDraining = false
    private var out: [UInt8] = []
    private var outOffset = 0
    private let connection: OpaquePointer
    private weak var server: HTTPServer?

    init(connection: OpaquePointer, server: HTTPServer, method: String, path: String) {
        unsafe self.connection = connection
        self.server = server
        self.method = method
        self.path = path
    }

    /// The value of a request header, by its name in any case; the first if there are several.
    package func header(_ name: String) -> String? {
        guard !isClosed, let value = unsafe MHD_lookup_connection_value(connection, rg_mhd_header_kind, name) else {
            return nil
        }
        return unsafe String(cString: value)
    }

    /// The parameters behind the path's question mark in their order, decoded; a name without "=" has an empty value.
    package var parameters: [(name: String, value: String)] {
        guard !isClosed else { return [] }
        let list = ParameterList()
        let context = unsafe Unmanaged.passUnretained(list).toOpaque()
        _ = unsafe MHD_get_connection_values(
            connection, rg_mhd_argument_kind,
            { context, _, name, value in
                guard let context = unsafe context, let name = unsafe name else { return rg_mhd_yes }
                let list = unsafe Unmanaged<ParameterList>.fromOpaque(context).takeUnretainedValue()
                let text = unsafe value.map { unsafe String(cString: $0) } ?? ""
                unsafe list.items.append((String(cString: name), text))
                return rg_mhd_yes
            }, context)
        return list.items
    }

    /// The caller's numeric address.
    package var peer: String {
        unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { buffer in
            guard !isClosed, let start = buffer.baseAddress else { return "" }
            unsafe rg_mhd_peer(connection, start, buffer.count)
            return unsafe String(cString: start)
        }
    }

    /// Bytes of the stream that the connection has not taken yet.
    package var buffered: Int { out.count - outOffset }

    /// Gives the body's memory back when it has been read.
    package func releaseBody() { body = [] }

    // MARK: Answering

    /// Answers with a whole body. Harmless when the caller has gone.
    package func respond(status: Int, headers: [(String, String)], body: [UInt8]) {
        guard !isClosed else { return }
        precondition(!isAnswered, "an exchange is answered once")
        response = .whole(status: status, headers: headers, body: body)
        wake()
    }

    /// As `respond`, for a request whose body is not to be read: the answer leaves at once and the connection is closed
    /// behind it. Only from `began`.
    package func respondAndClose(status: Int, headers: [(String, String)], body: [UInt8]) {
        isLast = true
        respond(status: status, headers: headers + [("connection", "close")], body: body)
    }

    /// What is wrong with how the request says where it ends, in words for the caller; nil when nothing is. Such a
    /// request must be refused by `respondAndClose`, because another reader could see another request in it.
    package var framingFault: String? {
        switch unsafe rg_mhd_check(connection) {
        case rg_mhd_ambiguous: "more than one Content-Length or Transfer-Encoding"
        case rg_mhd_bad_length: "a Content-Length that is no number"
        case rg_mhd_unknown_encoding: "a Transfer-Encoding other than chunked"
        case rg_mhd_bad_field: "white space behind a field's name"
        case rg_mhd_repeated_field: "more than one Host or Authorization"
        default: nil
        }
    }

    /// Answers with a body of unknown length, of which `write` gives the pieces.
    package func startStream(status: Int, headers: [(String, String)]) {
        guard !isClosed else { return }
        precondition(!isAnswered, "an exchange is answered once")
        response = .stream(status: status, headers: headers)
        wake()
    }

    /// Adds bytes to the stream. They leave at the end of the loop's turn.
    package func write(_ bytes: [UInt8]) {
        guard !isClosed else { return }
        out.append(contentsOf: bytes)
        wake()
    }

    /// Ends the stream when everything written has left.
    package func finishStream() {
        guard !isClosed else { return }
        isStreamFinished = true
        wake()
    }

    /// Closes the connection without ending the response properly, so that the caller cannot take it for whole.
    package func abort() {
        guard !isClosed else { return }
        response = .abort
        wake()
    }

    var isAnswered: Bool {
        if case .none = response { false } else { true }
    }

    /// Asks to be told through `onDrain` when less than half of `highWater` bytes are buffered, if there are more.
    package func isOver(highWater: Int) -> Bool {
        guard buffered > highWater else { return false }
        isDraining = true
        drainMark = highWater / 2
        return true
    }

    private var drainMark = 0

    // MARK: The server's side

    func wake() {
        guard isSuspended else { return }
        isSuspended = false
        unsafe MHD_resume_connection(connection)
        // Gone only while the server stops, which runs the library itself.
        server?.needsRun(corking: unsafe rg_mhd_connection_fd(connection))
    }

    func suspend() {
        isSuspended = true
        unsafe MHD_suspend_connection(connection)
    }

    /// Copies what is buffered; nil when nothing is and more may come.
    func read(into target: UnsafeMutableRawBufferPointer) -> Int {
        let count = min(target.count, buffered)
        unsafe out.withUnsafeBytes { source in
            unsafe target.copyMemory(from: UnsafeRawBufferPointer(rebasing: source[outOffset..<outOffset + count]))
        }
        outOffset += count
        if outOffset == out.count {
            // A stream that once had a long backlog does not keep its memory.
            out.removeAll(keepingCapacity: out.capacity <= 4096)
            outOffset = 0
        }
        if isDraining && buffered <= drainMark {
            isDraining = false
            server?.drained(self)
        }
        return count
    }

    func close(isComplete: Bool) {
        guard !isOver else { return }
        isOver = true
        isSuspended = false
        let onClose = self.onClose
        self.onClose = nil
        onDrain = nil
        onClose?(isComplete)
        context = nil
    }

    /// The peer has closed its side. The connection may be suspended, when the library does not look at it: wake it, so
    /// that it finds out, and tell the handler now.
    func peerClosed() {
        guard !isClosed else { return }
        hasLeft = true
        let suspended = isSuspended
        response = .abort
        if suspended { wake() }
        let onClose = self.onClose
        self.onClose = nil
        onClose?(false)
    }
}

/// Parameters while the library tells them one by one.
private final class ParameterList {
    var items: [(name: String, value: String)] = []
}
