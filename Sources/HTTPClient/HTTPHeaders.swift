internal import CCurl

/// A list of request headers in libcurl's form, made once and used by many transfers.
@safe package final class HTTPHeaders {
    let list: UnsafeMutablePointer<curl_slist>?

    /// Names and values must hold no control characters; a field that does is left out, because it could smuggle
    /// another.
    package init(_ fields: [(name: String, value: String)]) {
        var list: UnsafeMutablePointer<curl_slist>?
        // libcurl would wait for a "100 Continue" before a larger body: nobody here sends one late.
        unsafe list = curl_slist_append(nil, "Expect:")
        for (name, value) in fields where !(name + value).utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) {
            unsafe list = curl_slist_append(list, "\(name): \(value)")
        }
        unsafe self.list = list
    }

    deinit { unsafe curl_slist_free_all(list) }
}
