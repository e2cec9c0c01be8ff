/// The base address of a model server, as in `http://127.0.0.1:18081/v1`.
package struct BaseURL: Sendable, Equatable, CustomStringConvertible {
    /// `http` or `https`.
    package let scheme: String
    /// A name, an IPv4 address, or an IPv6 address in brackets.
    package let host: String
    /// The port as written, or the scheme's.
    package let port: Int
    /// Without a slash at its end; `/v1` when the address has no path.
    package let path: String
    /// `scheme://host[:port]` as written.
    package let origin: String

    /// The base without a slash at its end, so that `description + "/completions"` is an address.
    package var description: String { origin + path }

    /// The server's root: the base without `/v1`, where servers keep endpoints such as `/tokenize` and `/health`.
    package var root: String {
        path.hasSuffix("/v1") ? origin + path.dropLast(3) : origin + path
    }

    /// Why a text is not a base address.
    package struct Failure: Error, Equatable {
        package let message: String
    }

    /// Reads an address.
    ///
    /// - Throws: `Failure` for another scheme, user names, queries, fragments, and characters outside ASCII's visible.
    package init(_ text: String) throws(Failure) {
        guard let separator = text.range(ofText: "://") else {
            throw Failure(message: "must begin with http:// or https://")
        }
        scheme = text[..<separator.lowerBound].lowercased()
        guard ["http", "https"].contains(scheme) else {
            throw Failure(message: "must begin with http:// or https://")
        }
        let rest = text[separator.upperBound...]
        guard rest.utf8.allSatisfy({ (0x21...0x7E).contains($0) && !#""<>\^`{|}"#.utf8.contains($0) })
        else {
            throw Failure(message: "holds characters that an address cannot hold")
        }
        guard !rest.contains("?"), !rest.contains("#") else {
            throw Failure(message: "must not have a query or a fragment")
        }
        let authority = rest.prefix { $0 != "/" }
        guard !authority.contains("@") else {
            throw Failure(message: "must not hold a user name or password, use api_key: env:NAME")
        }
        (host, port) = try Self.hostAndPort(authority, scheme: scheme)
        var path = rest[authority.endIndex...]
        while path.hasSuffix("/") { path = path.dropLast() }
        self.path = path.isEmpty ? "/v1" : String(path)
        origin = "\(scheme)://\(authority)"
    }

    /// Stands in for an address that was refused, so that the rest of the file can still be checked.
    static let placeholder = BaseURL()

    private init() {
        (scheme, host, port, path, origin) = ("http", "invalid", 80, "/v1", "http://invalid")
    }

    private static func hostAndPort(_ authority: Substring, scheme: String) throws(Failure) -> (
        String, Int
    ) {
        let hostEnd =
            authority.hasPrefix("[")
            ? authority.firstIndex(of: "]").map { authority.index(after: $0) }
            : authority.firstIndex(of: ":") ?? authority.endIndex
        guard let hostEnd, hostEnd > authority.startIndex else { throw Failure(message: "has no host") }
        let portText = authority[hostEnd...]
        if portText.isEmpty { return (String(authority[..<hostEnd]), scheme == "https" ? 443 : 80) }
        guard portText.hasPrefix(":"),
            portText.dropFirst().utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let port = Int(portText.dropFirst()), (1...65535).contains(port)
        else {
            throw Failure(message: "has a port that is not a number from 1 to 65535")
        }
        return (String(authority[..<hostEnd]), port)
    }
}

extension StringProtocol {
    /// The first place of `text`, by bytes; Foundation's search is not used on purpose.
    fileprivate func range(ofText text: String) -> Range<Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(text),
                let end = index(start, offsetBy: text.count, limitedBy: endIndex)
            {
                return start..<end
            }
            start = index(after: start)
        }
        return nil
    }
}
