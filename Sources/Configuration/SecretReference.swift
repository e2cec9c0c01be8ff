import Glibc

/// Where a secret comes from: `env:NAME` or `file:/path`. The configuration file itself never holds one.
enum SecretReference: Equatable {
    case environment(String)
    case file(String)

    /// Longest secret that is read from a file.
    static let byteLimit = 64 << 10

    /// Reads the notation; nil when the text is neither form, so it may be a secret written literally.
    init?(_ text: String) {
        if text.hasPrefix("env:") {
            let name = text.dropFirst(4)
            let isName = name.utf8.allSatisfy { byte in
                byte == UInt8(ascii: "_") || (0x30...0x39).contains(byte)
                    || (0x41...0x5A).contains(byte & 0xDF)
            }
            guard let first = name.utf8.first, isName, !(0x30...0x39).contains(first) else { return nil }
            self = .environment(String(name))
        } else if text.hasPrefix("file:/") {
            self = .file(String(text.dropFirst(5)))
        } else {
            return nil
        }
    }

    /// Why a secret could not be fetched, in words that do not hold the secret.
    struct Failure: Error, Equatable {
        let message: String
    }

    /// Fetches the secret. One line break at the end of a file is not part of it.
    func resolve(environment: [String: String]) throws(Failure) -> Secret {
        let value: String
        let origin: String
        switch self {
        case .environment(let name):
            guard let found = environment[name] else {
                throw Failure(message: "the environment variable \(name) is not set")
            }
            (value, origin) = (found, "the environment variable \(name)")
        case .file(let path):
            do {
                value = Self.withoutLineBreak(try TextFile.read(path, byteLimit: Self.byteLimit))
            } catch {
                throw Failure(message: "the secret's file \(path) cannot be read: \(error.message)")
            }
            origin = "the file \(path)"
        }
        guard !value.isEmpty else { throw Failure(message: "\(origin) is empty") }
        // Secrets travel in HTTP headers and connection strings, where a line break would add a line.
        guard value.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F }) else {
            throw Failure(message: "\(origin) holds control characters or more than one line")
        }
        return Secret(value)
    }

    private static func withoutLineBreak(_ text: String) -> String {
        // "\r\n" is one character in Swift, so one step covers both line ends.
        guard let last = text.last, last.isNewline else { return text }
        return String(text.dropLast())
    }
}

/// Reads small text files without Foundation.
package enum TextFile {
    package struct Failure: Error, Equatable {
        package let message: String
    }

    /// The content of the file at `path`; fails when it is longer than `byteLimit` or is not UTF-8.
    package static func read(_ path: String, byteLimit: Int) throws(Failure) -> String {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Failure(message: reason(errno)) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = unsafe Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0 {
                if errno == EINTR { continue }
                throw Failure(message: reason(errno))
            }
            if count == 0 { break }
            bytes += chunk[..<count]
            guard bytes.count <= byteLimit else {
                throw Failure(message: "it is longer than \(byteLimit) bytes")
            }
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw Failure(message: "it is not UTF-8 text")
        }
        return text
    }

    private static func reason(_ code: CInt) -> String {
        unsafe strerror(code).map { unsafe String(cString: $0) } ?? "error \(code)"
    }
}
