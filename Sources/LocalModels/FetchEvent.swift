/// One line that `fetch_model.py` prints.
enum FetchEvent: Sendable, Equatable {
    case progress(label: String, doneBytes: Int64, totalBytes: Int64)
    case note(String)
    case done(label: String)
    case error(kind: String, text: String)

    /// - Returns: nil for a line of another kind, such as a warning of the Python interpreter.
    init?(line: String) {
        let fields = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
        switch (fields.first, fields.count) {
        case ("progress", 4):
            guard let done = Int64(fields[2]), let total = Int64(fields[3]), done >= 0, total >= 0 else { return nil }
            self = .progress(label: fields[1], doneBytes: done, totalBytes: total)
        case ("note", 2):
            self = .note(fields[1])
        case ("done", 2):
            self = .done(label: fields[1])
        case ("error", 3):
            self = .error(kind: fields[1], text: fields[2])
        default:
            return nil
        }
    }
}
