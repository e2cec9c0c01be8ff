import Glibc

/// Room on the file system of a path.
package enum DiskSpace {
    /// Bytes that this user may still write where `path` is (or will be: the nearest existing ancestor is asked).
    ///
    /// - Returns: nil when the system does not say.
    package static func availableBytes(at path: String) -> Int64? {
        var place = path
        while true {
            var answer = statvfs()
            if unsafe statvfs(place, &answer) == 0 {
                let (bytes, overflow) = UInt64(answer.f_bavail).multipliedReportingOverflow(by: UInt64(answer.f_frsize))
                return overflow ? Int64.max : Int64(exactly: bytes) ?? Int64.max
            }
            guard errno == ENOENT, let slash = place.lastIndex(of: "/") else { return nil }
            place = slash == place.startIndex ? "/" : String(place[..<slash])
            if place == "/" && path == "/" { return nil }
        }
    }

    /// Fails unless so many bytes can be written.
    ///
    /// - Parameter purpose: what needs the room, as it is to appear in the message.
    /// - Throws: `diskSpace` with both numbers in the message. An unknown amount of room passes.
    package static func require(
        bytes needed: Int64, at path: String, purpose: String
    ) throws(LocalSystemError) {
        guard let available = availableBytes(at: path), available < needed else { return }
        throw LocalSystemError(
            .diskSpace,
            "\(purpose) needs \(megabytes(needed)) MB of disk space at \(path), "
                + "and \(megabytes(available)) MB are free")
    }

    private static func megabytes(_ bytes: Int64) -> Int64 {
        // Rounded up, so that a need is never shown smaller than it is.
        bytes / 1_000_000 + (bytes % 1_000_000 > 0 ? 1 : 0)
    }
}
