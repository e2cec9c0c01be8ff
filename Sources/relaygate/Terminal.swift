internal import Glibc
internal import Notation

/// Output of the tools.
enum Terminal {
    /// Writes all of a text at once, so that it is not lost in a buffer when the process is replaced or killed.
    static func write(_ text: String, to fd: Int32 = STDOUT_FILENO) { write(Array(text.utf8), to: fd) }

    static func write(_ bytes: [UInt8], to fd: Int32) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(fd, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return lost(fd, errno) }
            rest = rest.dropFirst(count)
        }
    }

    /// Output that is lost is a failure: a script must not take half an export for the whole, nor a key for shown.
    private static func lost(_ fd: Int32, _ code: Int32) {
        guard fd == STDOUT_FILENO else { return }
        write("error: cannot write to standard output: \(unsafe String(cString: strerror(code)))\n", to: STDERR_FILENO)
        exit(1)
    }

    static func line(_ text: String = "") { write(text + "\n") }

    /// What whoever reads the output should know, on standard error.
    static func note(_ text: String) { write("note: \(text)\n", to: STDERR_FILENO) }

    static var isTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

    /// A text of others on one line, as `PlainText` has it.
    static func oneLine(_ text: String) -> String { PlainText.oneLine(text) }

    /// Rows in columns as wide as their widest cell, each on one line. Columns in `right` are aligned at the right.
    static func table(_ header: [String], _ rows: [[String]], right: Set<Int> = []) -> String {
        let (header, rows) = (header.map(oneLine), rows.map { $0.map(oneLine) })
        var widths = header.map(PlainText.width)
        for row in rows {
            for (index, cell) in row.enumerated() { widths[index] = max(widths[index], PlainText.width(cell)) }
        }
        var text = ""
        for row in [header] + rows {
            // Spaces that nothing follows are not written.
            var space = 0
            for (index, cell) in row.enumerated() {
                let rest = widths[index] - PlainText.width(cell)
                if index > 0 { space += 2 }
                if right.contains(index) { space += rest }
                if !cell.isEmpty {
                    text += String(repeating: " ", count: space)
                    text += cell
                    space = 0
                }
                if !right.contains(index) { space += rest }
            }
            text += "\n"
        }
        return text
    }
}

extension String {
    /// As a JSON string with its quotes.
    var json: String {
        var text = "\""
        for scalar in unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case _ where scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value):
                let digits = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text + "\""
    }
}
