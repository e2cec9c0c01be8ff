package import Accounting

/// The body of `POST /v1/verdicts`, and a line of a file of verdicts.
package struct VerdictBody: Sendable, Equatable {
    /// Most verdicts in one body.
    package static let limit = 1000

    /// In the order in which they were sent.
    package let verdicts: [VerdictRecord]
    /// Whether they came as an array, which is answered item by item.
    package let isArray: Bool

    /// Reads and checks a body: one verdict, or an array of them.
    ///
    /// - Parameter now: what stands for a `judged_at` that is absent.
    /// - Throws: `WireError` with status 400 that names the field and the remedy.
    package init(
        parsing body: [UInt8], now: Timestamp, with parser: inout JSONParser
    ) throws(WireError) {
        self = try parser.read(body) { (root) throws(WireError) in
            guard root.isArray else {
                return VerdictBody([try VerdictBody.verdict(root, path: "", source: nil, now: now)], isArray: false)
            }
            guard (1...VerdictBody.limit).contains(root.count) else {
                throw WireError(
                    .invalidValue, "The body must hold 1 to \(VerdictBody.limit) verdicts, not \(root.count).")
            }
            var verdicts: [VerdictRecord] = []
            for (position, item) in root.children.enumerated() {
                verdicts.append(try VerdictBody.verdict(item, path: "[\(position)].", source: nil, now: now))
            }
            return VerdictBody(verdicts, isArray: true)
        }
    }

    private init(_ verdicts: [VerdictRecord], isArray: Bool) {
        self.verdicts = verdicts
        self.isArray = isArray
    }

    /// Reads one verdict.
    ///
    /// - Parameters:
    ///   - path: what stands before the names of members in errors: empty, or with a point at its end.
    ///   - source: who judged, where the object does not say it and must not.
    package static func verdict(
        _ value: JSON, path: String, source: String?, now: Timestamp
    ) throws(WireError) -> VerdictRecord {
        guard value.isObject else {
            throw WireError(
                .invalidType, "A verdict must be a JSON object.", param: path.isEmpty ? nil : String(path.dropLast()))
        }
        var seen: Set<String> = []
        for member in value.children {
            let name = member.key
            guard seen.insert(name).inserted else { throw .duplicate(path + name) }
            let known = ["request_id", "choice", "verdict", "judged_at", "note"] + (source == nil ? ["source"] : [])
            guard known.contains(name) else {
                throw WireError(
                    .unknownParameter,
                    "A verdict has no member '\(name.prefix(64))'. It has \(known.joined(separator: ", ")).",
                    param: path + name)
            }
        }
        guard let id = value["request_id"] else { throw .missing(path + "request_id") }
        guard let mark = value["verdict"] else { throw .missing(path + "verdict") }
        guard source != nil || value["source"] != nil else { throw .missing(path + "source") }
        return try checked(
            path: path, request: id.string ?? "", choice: value["choice"].map { $0.int ?? -1 } ?? 0,
            verdict: mark.double ?? -1, source: source ?? value["source"]?.string ?? "",
            judged: value["judged_at"].map { $0.isNull ? nil : $0.string ?? "" } ?? nil,
            note: value["note"].map { $0.isNull ? "" : $0.string } ?? "", now: now)
    }

    /// Checks the members of a verdict. A value that is no value at all is given as one that is refused.
    package static func checked(
        path: String, request: String, choice: Int, verdict: Double, source: String, judged: String?, note: String?,
        now: Timestamp
    ) throws(WireError) -> VerdictRecord {
        guard let id = requestID(request) else {
            throw .invalid(path + "request_id", "the id of a request, as in the header x-request-id")
        }
        guard (0...1_000_000).contains(choice) else {
            throw .invalid(path + "choice", "the number of an answer, from 0")
        }
        guard (0.0...1.0).contains(verdict) else {
            throw .invalid(path + "verdict", "a number from 0, which is wrong, to 1, which is right")
        }
        guard VerdictRecord.isSource(source) else {
            throw .invalid(path + "source", "1 to 63 of a-z 0-9 . _ -, with a letter or digit at both ends")
        }
        guard let moment = judged.map(Timestamp.init(zoned:)) ?? now else {
            throw .invalid(path + "judged_at", "a time with its zone, such as 2026-11-24T15:00:00Z")
        }
        guard moment.microseconds <= now.microseconds + 86_400_000_000 else {
            throw .invalid(path + "judged_at", "at most a day ahead of the gateway's clock")
        }
        guard let note, note.unicodeScalars.count <= VerdictRecord.noteLimit, !note.utf8.contains(0) else {
            throw .invalid(path + "note", "a text of at most \(VerdictRecord.noteLimit) characters without NUL")
        }
        return VerdictRecord(
            request: id, choice: choice, source: source, verdict: verdict, judged: moment, note: note)
    }

    /// Reads a request's id, also as the `id` of a response has it: `chatcmpl-…`.
    private static func requestID(_ text: String) -> UUID7? {
        for prefix in Endpoint.allCases.map(\.idPrefix.description) where text.hasPrefix(prefix) {
            return UUID7(text.dropFirst(prefix.count))
        }
        return UUID7(text)
    }
}

/// The answer to `POST /v1/verdicts`.
package enum VerdictAnswer {
    /// The body for verdicts.
    ///
    /// - Parameter outcomes: what became of each.
    package static func body(_ body: VerdictBody, _ outcomes: [VerdictOutcome]) -> [UInt8] {
        var bytes: [UInt8] = []
        if !body.isArray, let verdict = body.verdicts.first {
            append(verdict, .kept, to: &bytes)
            return bytes
        }
        bytes.append(json: #"{"object":"list","data":["#)
        for (position, verdict) in body.verdicts.enumerated() {
            if position > 0 { bytes.append(json: ",") }
            append(verdict, position < outcomes.count ? outcomes[position] : .unknown, to: &bytes)
        }
        bytes.append(json: "]}")
        return bytes
    }

    /// The error of a verdict that is not kept. Whether a request of another tenant exists is not said.
    package static func error(_ outcome: VerdictOutcome) -> WireError? {
        switch outcome {
        case .kept: return nil
        case .unknown:
            return WireError(
                .notFound, "There is no such request and choice. Check the id, and that the answer is complete.",
                param: "request_id")
        case .contradicted:
            return WireError(
                .conflict,
                "The source has given another verdict of the same judged_at, which is kept. Who changes their mind says "
                    + "when: give the time of this one.",
                param: "judged_at")
        }
    }

    private static func append(_ verdict: VerdictRecord, _ outcome: VerdictOutcome, to bytes: inout [UInt8]) {
        bytes.append(json: #"{"object":"verdict","request_id":"#)
        bytes.append(jsonString: verdict.request.description)
        bytes.append(json: #","choice":"#)
        bytes.append(jsonInteger: verdict.choice)
        bytes.append(json: #","source":"#)
        bytes.append(jsonString: verdict.source)
        bytes.append(json: #","status":"#)
        if let error = error(outcome) {
            bytes.append(jsonInteger: error.status)
            bytes.append(json: #","error":{"message":"#)
            bytes.append(jsonString: error.message)
            bytes.append(json: #","code":"#)
            bytes.append(jsonString: error.code.rawValue)
            bytes.append(json: "}")
        } else {
            bytes.append(json: "200")
        }
        bytes.append(json: "}")
    }
}
