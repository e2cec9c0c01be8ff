internal import CMicroHTTPD

/// Owns libmicrohttpd's daemon, which owns its connections and its listening socket.
@safe struct ServerDaemon: ~Copyable {
    let raw: OpaquePointer

    /// Nil when the library cannot start.
    init?(_ options: inout rg_mhd_options) {
        guard let raw = unsafe rg_mhd_start(&options) else { return nil }
        unsafe self.raw = raw
    }

    /// Closes every connection. No connection may be suspended.
    deinit { unsafe MHD_stop_daemon(raw) }
}
