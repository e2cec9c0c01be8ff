import Glibc

/// A tiny HTTP client for the health checks of servers on this machine.
package enum Loopback {
    /// The status code that `GET path` on 127.0.0.1 answers.
    ///
    /// - Parameters:
    ///   - path: begins with a slash and holds no spaces.
    ///   - timeoutSeconds: limit for the connection and again for the answer.
    /// - Returns: nil when nobody listens, nobody answers in time, or the answer is not HTTP.
    package static func status(port: UInt16, path: String, timeoutSeconds: Int = 2) -> Int? {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0, var name = address("127.0.0.1", port: port) else { return nil }
        defer { _ = close(descriptor) }
        var limit = timeval(tv_sec: timeoutSeconds, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            _ = unsafe setsockopt(
                descriptor, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
        }
        let connected = unsafe withUnsafePointer(to: &name) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                unsafe connect(descriptor, generic, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard connected == 0 else { return nil }
        let request = Array("GET \(path) HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n".utf8)
        let sent = unsafe request.withUnsafeBytes {
            unsafe send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
        guard sent == request.count else { return nil }
        return statusCode(inHead: firstBytes(descriptor, count: 12))
    }

    /// The number in `HTTP/1.x NNN`, or nil when the bytes are something else.
    static func statusCode(inHead head: [UInt8]) -> Int? {
        guard head.count >= 12, head.starts(with: "HTTP/1.".utf8), head[8] == 0x20 else { return nil }
        let digits = head[9..<12]
        guard digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    }

    private static func firstBytes(_ descriptor: Int32, count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: count)
        while bytes.count < count {
            let received = unsafe buffer.withUnsafeMutableBytes {
                unsafe recv(descriptor, $0.baseAddress, count - bytes.count, 0)
            }
            guard received > 0 else { break }
            bytes += buffer.prefix(received)
        }
        return bytes
    }

    static func address(_ text: String, port: UInt16) -> sockaddr_in? {
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = port.bigEndian
        guard unsafe inet_pton(AF_INET, text, &name.sin_addr) == 1 else { return nil }
        return name
    }
}
