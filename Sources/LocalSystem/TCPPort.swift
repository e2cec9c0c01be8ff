import Glibc

/// TCP ports of this machine.
package enum TCPPort {
    /// Whether a listener could be opened on the port of this address right now.
    ///
    /// - Parameter address: an IPv4 address in dotted form; `0.0.0.0` asks for all of them.
    package static func isFree(_ port: UInt16, address: String = "127.0.0.1") -> Bool {
        (try? require(port, address: address)) != nil
    }

    /// Fails unless a listener can be opened on the port.
    ///
    /// - Throws: `portInUse`, or `portNotAllowed` when the port is privileged or the address is not of this machine.
    package static func require(_ port: UInt16, address: String = "127.0.0.1") throws(LocalSystemError) {
        _ = try bound(port, address: address)
    }

    /// A port that was free a moment ago on the loopback address, chosen by the kernel.
    ///
    /// - Throws: `portInUse` when the kernel has none to give.
    package static func pickFree() throws(LocalSystemError) -> UInt16 {
        try bound(0, address: "127.0.0.1")
    }

    /// Binds and lets go again; returns the port that was bound.
    private static func bound(_ port: UInt16, address: String) throws(LocalSystemError) -> UInt16 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else {
            throw LocalSystemError(.portNotAllowed, "cannot open a socket: \(SystemText.error(errno))")
        }
        defer { _ = close(descriptor) }
        // Without this a port whose old connections still linger in TIME_WAIT would count as taken; our server and
        // llama.cpp's set it too.
        var yes: Int32 = 1
        _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        guard var name = Loopback.address(address, port: port) else {
            throw LocalSystemError(.portNotAllowed, "\(address) is not an IPv4 address")
        }
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = unsafe withUnsafeMutablePointer(to: &name) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                guard unsafe bind(descriptor, generic, size) == 0 else { return errno }
                guard listen(descriptor, 1) == 0 else { return errno }
                return unsafe getsockname(descriptor, generic, &size) == 0 ? 0 : errno
            }
        }
        switch result {
        case 0:
            return UInt16(bigEndian: name.sin_port)
        case EADDRINUSE:
            throw LocalSystemError(
                .portInUse, "port \(port) of \(address) is in use by another process; choose another port")
        default:
            throw LocalSystemError(
                .portNotAllowed, "port \(port) of \(address) cannot be used: \(SystemText.error(result))")
        }
    }
}
