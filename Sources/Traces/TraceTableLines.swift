internal import Notation
internal import Wire

/// Turns a table of traces (`trace export --format csv`) into the lines that a replay reads, as far as it needs them.
///
/// The rows of a request stand together. A line has the number of its request's first row, so that what is wrong with
/// it is named by its place in the table.
package struct TraceTableLines {
    private static let needed = [
        "request_id", "tenant", "model", "policy", "arrived_ms", "choices", "prompt_tokens", "tags", "verdicts",
        "segment_role", "segment_choice", "segment_seq", "segment_attempt", "segment_model", "segment_tokens",
        "segment_command_tokens", "segment_finish",
    ]
    private static let someColumns = needed.joined(separator: ", ")
    private static let texts: Set = ["role", "model", "finish"]
    private static let members = [
        "role", "choice", "seq", "attempt", "model", "requested", "granted", "tokens", "command_tokens", "finish",
        "input_tokens", "cached_input_tokens", "cache_write_tokens", "cost_pico", "started_ms", "ms",
    ]

    private var records = CSVRecords()
    private var places: [String: Int]?
    /// The request whose rows are being read: its id, its line without the end, and the row it began in.
    private var open: (id: String, json: [UInt8], row: Int, hasSegments: Bool)?
    /// Lines that were written.
    private var written = 0

    package init() {}

    /// The lines of the requests that end in these bytes.
    package mutating func read(_ bytes: [UInt8]) throws(TraceFault) -> [UInt8] {
        var lines: [UInt8] = []
        for record in try split({ (records) throws(CSVRecords.Fault) in try records.read(bytes) }) {
            try take(record, &lines)
        }
        return lines
    }

    /// The lines that are left at the end of the table.
    package mutating func finish() throws(TraceFault) -> [UInt8] {
        var lines: [UInt8] = []
        if let record = try split({ (records) throws(CSVRecords.Fault) in try records.finish() }) {
            try take(record, &lines)
        }
        guard places != nil else {
            throw TraceFault(
                nil, "is empty: the first line of a table of traces names its columns, \(TraceTableLines.someColumns)",
                line: 1)
        }
        close(&lines)
        return lines
    }

    /// Names of columns for a message, which whole lines of another file may be.
    private static func shown(_ names: [String]) -> String {
        names.prefix(20).map { String($0.prefix(40)) }.joined(separator: ", ") + (names.count > 20 ? ", …" : "")
    }

    private mutating func split<Value>(
        _ body: (inout CSVRecords) throws(CSVRecords.Fault) -> Value
    ) throws(TraceFault) -> Value {
        do throws(CSVRecords.Fault) {
            return try body(&records)
        } catch {
            throw TraceFault(nil, "is no CSV: \(error.what)", line: error.line)
        }
    }

    private mutating func take(_ record: CSVRecords.Record, _ lines: inout [UInt8]) throws(TraceFault) {
        guard let places else {
            var places: [String: Int] = [:]
            for (place, name) in record.fields.enumerated() { places[name] = place }
            if let missing = TraceTableLines.needed.first(where: { places[$0] == nil }) {
                throw TraceFault(
                    missing,
                    "is no column: a table of traces, as `relaygate trace export --format csv` writes it, has "
                        + "\(TraceTableLines.someColumns); this one has \(TraceTableLines.shown(record.fields))",
                    line: record.line)
            }
            self.places = places
            return
        }
        guard record.fields.count >= places.count else {
            throw TraceFault(
                nil, "has \(record.fields.count) fields, the header \(places.count)", line: record.line)
        }
        func cell(_ name: String) -> String { places[name].map { record.fields[$0] } ?? "" }
        let id = cell("request_id")
        if open?.id != id {
            close(&lines)
            open = (id, TraceTableLines.head(cell), record.line, false)
        }
        guard !cell("segment_role").isEmpty else { return }
        var json = [UInt8]()
        if open?.hasSegments == true { json.append(json: ",") }
        json.append(json: "{")
        for (index, member) in TraceTableLines.members.enumerated() {
            if index > 0 { json.append(json: ",") }
            json.append(jsonString: member)
            json.append(json: ":")
            let value = cell("segment_" + member)
            if TraceTableLines.texts.contains(member) {
                json.append(jsonString: value)
            } else if value.isEmpty, member.hasSuffix("ms") {
                json.append(json: "0")
            } else {
                TraceTableLines.append(value, &json)
            }
        }
        json.append(json: "}")
        open?.json += json
        open?.hasSegments = true
    }

    private static func head(_ cell: (String) -> String) -> [UInt8] {
        var json = [UInt8]()
        json.append(json: "{\"version\":2")
        for name in ["request_id", "tenant", "model"] {
            json.append(json: ",")
            json.append(jsonString: name)
            json.append(json: ":")
            json.append(jsonString: cell(name))
        }
        json.append(json: ",\"policy\":{\"name\":")
        json.append(jsonString: cell("policy"))
        json.append(json: ",\"propensity\":")
        append(cell("propensity"), &json)
        json.append(json: "}")
        for name in ["arrived_ms", "finished_ms", "choices", "calls", "prompt_tokens", "slm_tokens", "llm_tokens"] {
            json.append(json: ",")
            json.append(jsonString: name)
            json.append(json: ":")
            append(cell(name), &json)
        }
        // These two are JSON in a cell; what is none makes the line none.
        json.append(json: ",\"tags\":")
        json.append(rawJSON: Array(cell("tags").utf8))
        json.append(json: ",\"verdicts\":")
        json.append(rawJSON: Array(cell("verdicts").utf8))
        json.append(json: ",\"segments\":[")
        return json
    }

    /// A number as it is, an empty cell as null, anything else as a text, which the reader of lines refuses by name.
    private static func append(_ value: String, _ json: inout [UInt8]) {
        if value.isEmpty {
            json.append(json: "null")
        } else if Double(value) != nil,
            value.utf8.allSatisfy({ (0x30...0x39).contains($0) || $0 == 0x2E || $0 == 0x2D })
        {
            json.append(rawJSON: Array(value.utf8))
        } else {
            json.append(jsonString: value)
        }
    }

    /// Ends the open request, on the line of its first row.
    private mutating func close(_ lines: inout [UInt8]) {
        guard let request = open else { return }
        open = nil
        lines += Array(repeating: 0x0A, count: max(0, request.row - 1 - written))
        written = max(written, request.row - 1) + 1
        lines += request.json + Array("]}\n".utf8)
    }
}
