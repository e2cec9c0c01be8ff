internal import CCurl

/// A list of request headers in libcurl's form, made once and used by many transfers.
package final class HTTPHeaders {
    let list: HeaderList

    /// Names and values must hold no control characters; a field that does is left out, because it could smuggle
    /// another.
    package init(_ fields: [(name: String, value: String)]) {
        var list = HeaderList()
        // libcurl would wait for a "100 Continue" before a larger body: nobody here sends one late.
        list.append("Expect:")
        for (name, value) in fields where !(name + value).utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) {
            list.append("\(name): \(value)")
        }
        self.list = list
    }
}
