internal import CCurl
internal import Reactor

/// What a transfer tells its owner. *Loop thread*, never from inside a C callback; any of these may cancel.
package protocol HTTPTransferDelegate: AnyObject {
    /// Bytes of the answer's body. `status` is the answer's HTTP status.
    func transfer(_ transfer: HTTPTransfer, received bytes: [UInt8], status: Int)
    /// The answer is whole. Called once, and not after `cancel`.
    func transferEnded(_ transfer: HTTPTransfer, status: Int)
    /// The transfer failed. Called once, and not after `cancel`.
    func transferFailed(_ transfer: HTTPTransfer, _ error: HTTPClientError)
}

/// Time limits of one transfer. Connecting has its own limit in the client.
package struct HTTPTimeouts: Sendable {
    package var firstByte: Duration
    package var idle: Duration

    package init(firstByte: Duration, idle: Duration) {
        self.firstByte = firstByte
        self.idle = idle
    }
}

/// One request to a server and its answer. *Loop thread.*
@safe package final class HTTPTransfer {
    weak var delegate: (any HTTPTransferDelegate)?
    let easy: PooledEasyHandle
    let client: HTTPClient
    let timeouts: HTTPTimeouts
    /// libcurl reads the body from here until the transfer is over.
    let body: UnsafeMutableRawBufferPointer
    let headers: HTTPHeaders
    var inbound: [UInt8] = []
    var isReady = false
    var isPaused = false
    var isStalled = false
    var isOver = false
    var status = 0
    var result: CURLcode?
    private var hasBytes = false
    private var lastActivity: ContinuousClock.Instant
    private var timer: LoopTimer?

    init(
        easy: PooledEasyHandle, client: HTTPClient, headers: HTTPHeaders, body: [UInt8]?, timeouts: HTTPTimeouts,
        delegate: any HTTPTransferDelegate
    ) {
        self.easy = easy
        self.client = client
        self.headers = headers
        self.timeouts = timeouts
        self.delegate = delegate
        unsafe self.body = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, body?.count ?? 0), alignment: 1)
        if let body { unsafe self.body.copyBytes(from: body) }
        lastActivity = client.loop.now
    }

    deinit { unsafe body.deallocate() }

    /// Stops the transfer and closes its connection, so that the server notices. The delegate hears no more.
    package func cancel() {
        guard !isOver else { return }
        client.finish(self)
    }

    /// Takes no more bytes from the server until `resume`; what libcurl holds already is kept.
    package func pause() { isPaused = true }

    /// Goes on after `pause`.
    package func resume() {
        guard isPaused, !isOver else { return }
        isPaused = false
        lastActivity = client.loop.now
        if isStalled {
            isStalled = false
            unsafe curl_easy_pause(easy.handle.raw, CURLPAUSE_CONT)
        }
        client.markReady(self)
    }

    // MARK: The client's side

    func noteActivity() {
        hasBytes = true
        lastActivity = client.loop.now
    }

    func watchTime() {
        // The timer is not moved for each chunk: when it comes up it looks how long the silence really was.
        let limit = hasBytes ? timeouts.idle : timeouts.firstByte
        let due = lastActivity + limit
        timer = client.loop.schedule(after: max(.milliseconds(1), due - client.loop.now)) { [weak self] in
            self?.checkTime()
        }
    }

    private func checkTime() {
        guard !isOver else { return }
        let limit = hasBytes ? timeouts.idle : timeouts.firstByte
        if isPaused { lastActivity = client.loop.now }
        if client.loop.now - lastActivity < limit { return watchTime() }
        let error = HTTPClientError(
            code: hasBytes ? .idleTimeout : .firstByteTimeout, wasSent: unsafe rg_curl_was_sent(easy.handle.raw) != 0,
            detail: "nothing received for \(limit)")
        let delegate = self.delegate
        client.finish(self)
        delegate?.transferFailed(self, error)
    }

    func close() {
        isOver = true
        timer?.cancel()
        delegate = nil
    }
}
