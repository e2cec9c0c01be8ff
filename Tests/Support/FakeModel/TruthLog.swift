import Glibc
import Wire

/// What really was generated for one choice of one request, whatever its `usage` said.
struct TruthRecord {
    var number: Int
    var role: ModelRole
    var model: String
    var choice = 0
    var marker: String?
    var isStream: Bool
    var promptTokens: Int
    var maxTokens: Int?
    var generatedTokens = 0
    var sentTokens = 0
    var text: [UInt8] = []
    var finish = "none"
    var commandsForbidden: Bool
    var clientLeft = false
    var requestID: String?
    var startedMicroseconds: Int
    var endedMicroseconds = 0

    /// The record as one line of JSON.
    var line: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(json: #"{"n":"#)
        bytes.append(jsonInteger: number)
        bytes.append(json: #","role":"#)
        bytes.append(jsonString: role.rawValue)
        bytes.append(json: #","model":"#)
        bytes.append(jsonString: model)
        bytes.append(json: #","choice":"#)
        bytes.append(jsonInteger: choice)
        bytes.append(json: #","marker":"#)
        bytes.append(jsonString: marker)
        bytes.append(json: #","stream":"#)
        bytes.append(jsonBool: isStream)
        bytes.append(json: #","prompt_tokens":"#)
        bytes.append(jsonInteger: promptTokens)
        bytes.append(json: #","max_tokens":"#)
        bytes.append(jsonInteger: maxTokens)
        bytes.append(json: #","generated_tokens":"#)
        bytes.append(jsonInteger: generatedTokens)
        bytes.append(json: #","sent_tokens":"#)
        bytes.append(jsonInteger: sentTokens)
        bytes.append(json: #","text":"#)
        // What was cut inside a character is not UTF-8; JSON must be.
        bytes.append(jsonString: String(decoding: text, as: UTF8.self))
        bytes.append(json: #","finish":"#)
        bytes.append(jsonString: finish)
        bytes.append(json: #","banned":"#)
        bytes.append(jsonBool: commandsForbidden)
        bytes.append(json: #","client_left":"#)
        bytes.append(jsonBool: clientLeft)
        bytes.append(json: #","request_id":"#)
        bytes.append(jsonString: requestID)
        bytes.append(json: #","started_us":"#)
        bytes.append(jsonInteger: startedMicroseconds)
        bytes.append(json: #","ended_us":"#)
        bytes.append(jsonInteger: endedMicroseconds)
        bytes.append(json: "}")
        return bytes
    }
}

/// The truth about all requests: the newest in memory, all of them in a file when one is named.
final class TruthLog {
    private var lines: [[UInt8]] = []
    private var pending: [UInt8] = []
    private let descriptor: Int32
    private static let limit = 200_000

    /// Appends to the file at `path`. Nil when it cannot be opened.
    init?(path: String?) {
        guard let path else {
            descriptor = -1
            return
        }
        descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        if descriptor < 0 { return nil }
    }

    deinit {
        flush()
        if descriptor >= 0 { close(descriptor) }
    }

    /// Whether lines wait to be written to the file.
    var hasPending: Bool { !pending.isEmpty }

    /// Tokens generated since the start, for `/metrics`.
    private(set) var generatedTokens = 0
    /// Tokens of prompts since the start.
    private(set) var promptTokens = 0

    func append(_ record: TruthRecord) {
        let line = record.line
        if lines.count >= TruthLog.limit { lines.removeFirst(TruthLog.limit / 2) }
        lines.append(line)
        generatedTokens += record.generatedTokens
        promptTokens += record.promptTokens
        guard descriptor >= 0 else { return }
        pending.append(contentsOf: line)
        pending.append(UInt8(ascii: "\n"))
    }

    /// Writes what waits to the file.
    func flush() {
        var start = 0
        while start < pending.count {
            let written = unsafe pending[start...].withUnsafeBytes {
                unsafe write(descriptor, $0.baseAddress, $0.count)
            }
            guard written > 0 else { break }
            start += written
        }
        pending.removeAll(keepingCapacity: true)
    }

    func reset() { lines = [] }

    /// The lines in memory as a JSON array.
    var body: [UInt8] {
        var bytes = [UInt8(ascii: "[")]
        for (index, line) in lines.enumerated() {
            if index > 0 { bytes.append(json: ",\n") }
            bytes.append(contentsOf: line)
        }
        bytes.append(UInt8(ascii: "]"))
        return bytes
    }
}
