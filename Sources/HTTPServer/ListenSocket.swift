internal import Glibc
package import Reactor

/// A bound and listening TCP socket.
package struct ListenSocket: ~Copyable {
    private let descriptor: FileDescriptor
    /// The port it is bound to, also when 0 was asked for.
    package let port: UInt16

    /// Listens on a numeric address. `isShared` lets several sockets of this process share the port (SO_REUSEPORT); ask
    /// for an unshared one first, because sharing hides that somebody else has the port.
    package init(host: String, port: UInt16, isShared: Bool) throws(SystemError) {
        let isV6 = host.utf8.contains(UInt8(ascii: ":"))
        let family = isV6 ? AF_INET6 : AF_INET
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = FileDescriptor(owning: try systemCall("socket") { socket(family, kind, 0) })
        let fd = descriptor.raw
        try ListenSocket.set(fd, SO_REUSEADDR)
        if isShared { try ListenSocket.set(fd, SO_REUSEPORT) }
        if isV6 {
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = port.bigEndian
            guard unsafe inet_pton(AF_INET6, host, &address.sin6_addr) == 1 else {
                throw SystemError("inet_pton", code: EINVAL)
            }
            try ListenSocket.bindSocket(fd, &address)
        } else {
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            guard unsafe inet_pton(AF_INET, host, &address.sin_addr) == 1 else {
                throw SystemError("inet_pton", code: EINVAL)
            }
            try ListenSocket.bindSocket(fd, &address)
        }
        try systemCall("listen") { Glibc.listen(fd, 4096) }
        self.port = try ListenSocket.boundPort(fd)
        self.descriptor = descriptor
    }

    /// Takes over a socket that listens already.
    package init(owning raw: Int32, port: UInt16) {
        descriptor = FileDescriptor(owning: raw)
        self.port = port
    }

    /// Gives the socket up without closing it.
    package consuming func release() -> Int32 { descriptor.release() }

    private static func set(_ fd: Int32, _ option: Int32) throws(SystemError) {
        var on: Int32 = 1
        try systemCall("setsockopt") {
            unsafe setsockopt(fd, SOL_SOCKET, option, &on, socklen_t(MemoryLayout<Int32>.size))
        }
    }

    private static func bindSocket<Address>(_ fd: Int32, _ address: inout Address) throws(SystemError) {
        let size = socklen_t(MemoryLayout<Address>.size)
        let result = unsafe withUnsafePointer(to: &address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe bind(fd, $0, size) }
        }
        if result != 0 { throw SystemError("bind") }
    }

    private static func boundPort(_ fd: Int32) throws(SystemError) -> UInt16 {
        var storage = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let result = unsafe withUnsafeMutablePointer(to: &storage) {
            unsafe $0.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { address in
                // The port stands at the same place in both families.
                let code = unsafe address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    unsafe getsockname(fd, $0, &size)
                }
                return unsafe (code, UInt16(bigEndian: address.pointee.sin_port))
            }
        }
        if result.0 != 0 { throw SystemError("getsockname") }
        return result.1
    }
}
