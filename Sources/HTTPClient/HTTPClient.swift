internal import CCurl
internal import Glibc
package import Reactor

/// Requests to servers from one event loop: libcurl's multi interface in our epoll set, with its pool of connections.
///
/// libcurl's callbacks copy what they are given and put the transfer on a list; delegates are called when libcurl has
/// returned, so they may start, pause and cancel transfers as they like.
@safe package final class HTTPClient {
    package let loop: EventLoop
    private let multi: MultiHandle
    private var setup: rg_curl_setup
    private var sockets: [Int32: Registration] = [:]
    private var timer: LoopTimer?
    /// Numbers libcurl's wishes for a timer: a newer one replaces an older.
    private var timerRequest = 0
    private var live: [OpaquePointer: HTTPTransfer] = unsafe [:]
    private var ready: [HTTPTransfer] = []
    private var idle: [PooledEasyHandle] = []
    private var isDeliveryScheduled = false

    /// Most easy handles that are kept for reuse: each holds its buffers.
    private static let idleLimit = 64

    /// - Parameters:
    ///   - connectTimeout: limit for name, TCP and TLS together.
    ///   - idleConnections: connections kept open for reuse.
    package init(loop: EventLoop, connectTimeout: Duration, idleConnections: Int) throws(SystemError) {
        self.loop = loop
        unsafe setup = rg_curl_setup(
            on_head: onHead, on_body: onBody, connect_timeout_ms: Int(max(1, connectTimeout / .milliseconds(1))),
            buffer_size: 8192)
        guard let multi = MultiHandle() else { throw SystemError("curl_multi_init", code: ENOMEM) }
        self.multi = multi
        let context = unsafe Unmanaged.passUnretained(self).toOpaque()
        unsafe rg_curl_attach(self.multi.raw, onSocket, onTimer, context, idleConnections)
    }

    deinit {
        while let (easy, transfer) = unsafe live.popFirst() {
            transfer.close()
            unsafe curl_multi_remove_handle(multi.raw, easy)
        }
        for registration in sockets.values { registration.cancel() }
        timer?.cancel()
    }

    /// Starts a POST of `body`, or a GET without one. Throws only when the request cannot be made at all; what goes
    /// wrong later reaches the delegate.
    package func start(
        url: String, headers: HTTPHeaders, body: [UInt8]?, timeouts: HTTPTimeouts, delegate: any HTTPTransferDelegate
    ) throws(HTTPClientError) -> HTTPTransfer {
        guard let easy = idle.popLast() ?? PooledEasyHandle() else {
            throw HTTPClientError(code: .invalid, wasSent: false, detail: "out of memory")
        }
        let transfer = HTTPTransfer(
            easy: easy, client: self, headers: headers, body: body, timeouts: timeouts, delegate: delegate)
        let raw = unsafe easy.handle.raw
        let context = unsafe Unmanaged.passUnretained(transfer).toOpaque()
        var code = unsafe rg_curl_prepare(raw, &setup)
        if code == CURLE_OK {
            let start = unsafe body == nil ? nil : UnsafeRawPointer(transfer.body.baseAddress)
            code = unsafe rg_curl_request(raw, url, headers.list.raw, start, body?.count ?? 0, context)
        }
        guard code == CURLE_OK, unsafe curl_multi_add_handle(multi.raw, raw) == CURLM_OK else {
            throw HTTPClientError(
                code: .invalid, wasSent: false, detail: unsafe String(cString: curl_easy_strerror(code)))
        }
        unsafe live[raw] = transfer
        transfer.watchTime()
        return transfer
    }

    // MARK: The end of a transfer

    /// Takes the transfer away from libcurl; a handle that is fit for it is kept for the next.
    func finish(_ transfer: HTTPTransfer) {
        guard !transfer.isOver else { return }
        transfer.close()
        let raw = unsafe transfer.easy.handle.raw
        unsafe live[raw] = nil
        unsafe curl_multi_remove_handle(multi.raw, raw)
        guard idle.count < HTTPClient.idleLimit else { return }
        transfer.easy.handle.reset()
        idle.append(transfer.easy)
    }

    // MARK: Running libcurl

    private func act(_ fd: Int32, _ mask: Int32) {
        unsafe rg_curl_act(multi.raw, fd, mask)
        var result = CURLE_OK
        while let easy = unsafe rg_curl_next_done(multi.raw, &result) {
            guard let transfer = unsafe live[easy] else { continue }
            transfer.result = result
            markReady(transfer)
        }
        deliver()
    }

    /// Puts the transfer on the list of those that have something to tell.
    func markReady(_ transfer: HTTPTransfer) {
        guard !transfer.isReady else { return }
        transfer.isReady = true
        ready.append(transfer)
        guard !isDeliveryScheduled else { return }
        isDeliveryScheduled = true
        loop.atTurnEnd { [weak self] in self?.deliver() }
    }

    private func deliver() {
        isDeliveryScheduled = false
        var index = 0
        while index < ready.count {
            let transfer = ready[index]
            index += 1
            transfer.isReady = false
            deliver(transfer)
        }
        ready.removeAll(keepingCapacity: true)
    }

    private func deliver(_ transfer: HTTPTransfer) {
        guard !transfer.isOver, !transfer.isPaused else { return }
        if !transfer.inbound.isEmpty {
            let bytes = transfer.inbound
            transfer.inbound = []
            transfer.noteActivity()
            transfer.delegate?.transfer(transfer, received: bytes, status: transfer.status)
        }
        guard !transfer.isOver, !transfer.isPaused, let result = transfer.result else { return }
        let delegate = transfer.delegate
        let status = unsafe rg_curl_status(transfer.easy.handle.raw)
        let wasSent = unsafe rg_curl_was_sent(transfer.easy.handle.raw) != 0
        finish(transfer)
        guard result != CURLE_OK else {
            delegate?.transferEnded(transfer, status: status)
            return
        }
        let detail = unsafe String(cString: curl_easy_strerror(result))
        delegate?.transferFailed(
            transfer, HTTPClientError(code: classify(result, wasSent), wasSent: wasSent, detail: detail))
    }

    private func classify(_ result: CURLcode, _ wasSent: Bool) -> HTTPClientError.Code {
        switch result {
        case CURLE_URL_MALFORMAT, CURLE_UNSUPPORTED_PROTOCOL, CURLE_OUT_OF_MEMORY: .invalid
        case CURLE_COULDNT_CONNECT, CURLE_COULDNT_RESOLVE_HOST, CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION:
            .connectFailed
        default: wasSent ? .broken : .connectFailed
        }
    }

    // MARK: libcurl's wishes

    fileprivate func watch(_ fd: Int32, _ what: Int32) {
        guard what != CURL_POLL_REMOVE else {
            sockets.removeValue(forKey: fd)?.cancel()
            return
        }
        var interest: EventLoop.Interest = []
        if what & CURL_POLL_IN != 0 { interest.insert(.read) }
        if what & CURL_POLL_OUT != 0 { interest.insert(.write) }
        if let known = sockets[fd] { return known.update(interest) }
        sockets[fd] = try? loop.register(fd, interest) { [unowned self] ready in
            var mask: Int32 = 0
            if ready.isReadable { mask |= CURL_CSELECT_IN }
            if ready.isWritable { mask |= CURL_CSELECT_OUT }
            if ready.isError { mask |= CURL_CSELECT_ERR }
            act(fd, mask)
        }
    }

    fileprivate func setTimer(_ milliseconds: Int) {
        timer?.cancel()
        timer = nil
        timerRequest += 1
        guard milliseconds >= 0 else { return }
        guard milliseconds > 0 else {
            let request = timerRequest
            return loop.atTurnEnd { [weak self] in
                guard let self, timerRequest == request else { return }
                act(rg_curl_no_socket, 0)
            }
        }
        timer = loop.schedule(after: .milliseconds(milliseconds)) { [weak self] in self?.act(rg_curl_no_socket, 0) }
    }
}

// MARK: Callbacks of libcurl: copy, note, return.

private func onHead(bytes: UnsafeMutablePointer<CChar>?, size: Int, count: Int, context: UnsafeMutableRawPointer?)
    -> Int
{
    size * count
}

private func onBody(bytes: UnsafeMutablePointer<CChar>?, size: Int, count: Int, context: UnsafeMutableRawPointer?)
    -> Int
{
    guard let bytes = unsafe bytes, let context = unsafe context else { return 0 }
    let transfer = unsafe Unmanaged<HTTPTransfer>.fromOpaque(context).takeUnretainedValue()
    guard !transfer.isPaused else {
        transfer.isStalled = true
        return Int(CURL_WRITEFUNC_PAUSE)
    }
    if transfer.status == 0 { transfer.status = unsafe rg_curl_status(transfer.easy.handle.raw) }
    unsafe transfer.inbound.append(contentsOf: UnsafeRawBufferPointer(start: bytes, count: size * count))
    transfer.client.markReady(transfer)
    return size * count
}

private func onSocket(
    easy: OpaquePointer?, fd: curl_socket_t, what: Int32, context: UnsafeMutableRawPointer?,
    socketContext: UnsafeMutableRawPointer?
) -> Int32 {
    guard let context = unsafe context else { return 0 }
    unsafe Unmanaged<HTTPClient>.fromOpaque(context).takeUnretainedValue().watch(fd, what)
    return 0
}

private func onTimer(multi: OpaquePointer?, milliseconds: Int, context: UnsafeMutableRawPointer?) -> Int32 {
    guard let context = unsafe context else { return 0 }
    unsafe Unmanaged<HTTPClient>.fromOpaque(context).takeUnretainedValue().setTimer(milliseconds)
    return 0
}
