import Foundation
import Glibc

/// Small readings of the system that come back as text.
package enum SystemText {
    /// The system's words for an error number.
    package static func error(_ number: Int32) -> String {
        guard let words = unsafe strerror(number) else { return "error \(number)" }
        return unsafe String(cString: words)
    }

    /// The first line of a small text file without its line end, or nil when there is none to read.
    package static func firstLine(path: String) -> String? {
        guard let bytes = FileManager.default.contents(atPath: path), !bytes.isEmpty else { return nil }
        return String(decoding: bytes.prefix(4096).prefix { $0 != 0x0A }, as: UTF8.self)
    }

    /// The last lines of a text file, for an error message; empty when it cannot be read.
    ///
    /// - Parameter lines: how many lines at most; only the last 16 KiB of the file are looked at.
    package static func tail(path: String, lines: Int) -> String {
        guard let file = FileHandle(forReadingAtPath: path) else { return "" }
        defer { try? file.close() }
        guard let end = try? file.seekToEnd() else { return "" }
        guard (try? file.seek(toOffset: end > 16_384 ? end - 16_384 : 0)) != nil else { return "" }
        let bytes = (try? file.readToEnd()) ?? Data()
        return String(decoding: bytes, as: UTF8.self)
            .split(separator: "\n").suffix(lines).joined(separator: "\n")
    }
}
