internal import CCurl

/// Owns libcurl's multi handle: a pool of connections and what is transferred over them.
@safe struct MultiHandle: ~Copyable {
    let raw: OpaquePointer

    /// Nil when libcurl cannot be initialised.
    init?() {
        guard let raw = unsafe rg_curl_multi() else { return nil }
        unsafe self.raw = raw
    }

    deinit { unsafe curl_multi_cleanup(raw) }
}

/// Owns one easy handle: one transfer at a time, and its buffers.
@safe struct EasyHandle: ~Copyable {
    let raw: OpaquePointer

    /// Nil without memory.
    init?() {
        guard let raw = unsafe curl_easy_init() else { return nil }
        unsafe self.raw = raw
    }

    /// Forgets the last transfer's options; buffers stay.
    func reset() { unsafe curl_easy_reset(raw) }

    deinit { unsafe curl_easy_cleanup(raw) }
}

/// Owns a list of header lines.
@safe struct HeaderList: ~Copyable {
    private(set) var raw: UnsafeMutablePointer<curl_slist>?

    /// Adds a line; without memory the list stays as it was.
    mutating func append(_ line: String) {
        guard let longer = unsafe curl_slist_append(raw, line) else { return }
        unsafe raw = longer
    }

    deinit { unsafe curl_slist_free_all(raw) }
}

/// Lets an easy handle, which cannot be copied, lie in a pool and pass from transfer to transfer.
final class PooledEasyHandle {
    let handle: EasyHandle

    init?() {
        guard let handle = EasyHandle() else { return nil }
        self.handle = handle
    }
}
