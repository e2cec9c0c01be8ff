internal import Glibc

/// An open descriptor with one owner; closed when the owner lets go of it.
package struct FileDescriptor: ~Copyable {
    package let raw: Int32

    /// Takes ownership of `raw`, which must be open.
    package init(owning raw: Int32) {
        precondition(raw >= 0, "a descriptor is not negative")
        self.raw = raw
    }

    /// Gives the descriptor up without closing it; the caller owns it from here.
    package consuming func release() -> Int32 {
        let raw = self.raw
        discard self
        return raw
    }

    deinit { close(raw) }
}
