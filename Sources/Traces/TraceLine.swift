package import Accounting
internal import Store
package import Wire

/// A line of a trace file, read and checked: what the ledger would refuse, or an audit would find, is refused here.
package struct TraceLine: Sendable {
    /// What the ledger keeps of a served request at most: tags, characters of a key, and of a value.
    private static let (tagLimit, keyLimit, valueLimit) = (64, 64, 512)
    /// Bytes of a name that usage is told apart by: what fits an index (see `report_tags` in 0003_usage.sql).
    static let nameLimit = 256

    /// The tenant's name in the installation that wrote the line.
    package let tenantName: String
    /// Tenant and key are those that the caller gave.
    package let request: RequestRecord
    package let verdicts: [VerdictRecord]

    /// Reads a line.
    ///
    /// - Parameters:
    ///   - tenant: whose request it becomes.
    ///   - key: by which key it was made.
    /// - Throws: `TraceFault` that names the member.
    package init(
        parsing line: [UInt8], tenant: UUID7, key: UUID7, with parser: inout JSONParser
    ) throws(TraceFault) {
        var result: Result<TraceLine, TraceFault>?
        do throws(WireError) {
            try parser.read(line) { root in
                do throws(TraceFault) {
                    result = .success(try TraceLine(TraceObject(root, path: ""), tenant, key))
                } catch {
                    result = .failure(error)
                }
            }
        } catch {
            throw TraceFault(nil, "is no JSON: \(error.message.replacing("The body", with: "it"))")
        }
        guard let result else { throw TraceFault(nil, "is no JSON") }
        self = try result.get()
    }

    private init(_ root: TraceObject, _ tenant: UUID7, _ key: UUID7) throws(TraceFault) {
        try root.checkVersion()
        guard let id = UUID7(try root.text("request_id")) else { throw TraceFault("request_id", "must be a UUID") }
        guard let policyValue = root.present("policy") else { throw TraceFault("policy", "must be an object") }
        let policy = try TraceObject(policyValue, path: "policy")
        let started = Timestamp(microseconds: try root.microseconds("arrived_ms"))
        guard id.milliseconds == UInt64(started.microseconds / 1000) else {
            throw TraceFault("request_id", "must carry the milliseconds of arrived_ms, as a UUID of version 7 does")
        }
        var request = RequestRecord(
            id: id, tenant: tenant, key: key, model: try root.indexed("model"), policy: try policy.indexed("name"),
            policyVersion: try policy.text("version"), propensity: try policy.propensity(),
            endpoint: try root.choice("endpoint", Endpoint.allCases.map(\.rawValue)), isStream: try root.flag("stream"),
            choices: try root.count("choices", from: 1), started: started)
        request.finished = Timestamp(microseconds: try root.microseconds("finished_ms"))
        guard request.finished >= started else { throw TraceFault("finished_ms", "must not be before arrived_ms") }
        try request.readEnd(root)
        request.errorCode = try root.optionalText("error")
        request.tags = try TraceLine.tags(root)
        request.segments = try TraceLine.segments(root, started)
        try TraceLine.checkSums(request)
        tenantName = try root.text("tenant")
        verdicts = try TraceLine.verdicts(root, id, choices: request.choices)
        self.request = request
    }

    private static func tags(_ root: TraceObject) throws(TraceFault) -> [RequestTag] {
        guard let object = root.present("tags"), object.isObject else { throw TraceFault("tags", "must be an object") }
        var tags: [RequestTag] = []
        for member in object.children {
            guard tags.count < tagLimit else {
                throw TraceFault("tags", "must have at most \(tagLimit) members: leave out what nobody asks for")
            }
            guard (1...keyLimit).contains(member.key.unicodeScalars.count) else {
                throw TraceFault(
                    "tags.\(String(member.key.unicodeScalars.prefix(keyLimit)))",
                    "must have a name of 1 to \(keyLimit) characters: shorten it")
            }
            guard let value = member.string else { throw TraceFault("tags.\(member.key)", "must be a text") }
            guard value.count <= valueLimit else {
                throw TraceFault(
                    "tags.\(member.key)", "must have at most \(valueLimit) characters: shorten it, or leave it out")
            }
            guard !tags.contains(where: { $0.key == member.key }) else {
                throw TraceFault("tags.\(member.key)", "is there twice")
            }
            tags.append(RequestTag(key: member.key, value: value))
        }
        return tags
    }

    private static func segments(_ root: TraceObject, _ arrived: Timestamp) throws(TraceFault) -> [SegmentRecord] {
        var segments: [SegmentRecord] = []
        var seen: Set<[Int]> = []
        for item in try root.items("segments") {
            let segment = try segment(item, arrived)
            guard seen.insert([segment.choice, segment.sequence, segment.attempt]).inserted else {
                throw TraceFault(item.path, "has the choice, seq and attempt of an earlier segment")
            }
            guard
                segment.sequence == 0
                    || seen.contains(where: { $0[0] == segment.choice && $0[1] == segment.sequence - 1 })
            else {
                throw TraceFault(item.name("seq"), "leaves a gap: no segment before it has \(segment.sequence - 1)")
            }
            segments.append(segment)
        }
        return segments
    }

    private static func segment(_ item: TraceObject, _ arrived: Timestamp) throws(TraceFault) -> SegmentRecord {
        let sources = ["reported", "counted", "estimated"]
        let role = try item.choice("role", ["slm", "llm"])
        var segment = SegmentRecord(
            choice: try item.count("choice"), sequence: try item.count("seq"),
            attempt: try item.count("attempt", from: 1), role: role, model: try item.indexed("model"),
            upstream: try item.indexed("upstream"),
            // On the SLM's segment it says what the next one says.
            requested: role == "llm" ? try item.optionalCount("requested") : nil,
            granted: try item.optionalCount("granted"), promptTokens: try item.optionalCount("input_tokens"),
            cachedTokens: try item.optionalCount("cached_input_tokens"),
            generatedTokens: try item.count("tokens"), commandTokens: try item.count("command_tokens"),
            source: try item.choice("source", sources), commandSource: try item.choice("command_source", sources),
            finish: try item.text("finish"),
            started: Timestamp(
                microseconds: arrived.microseconds + (try item.microseconds("started_ms", isSigned: true))),
            firstTokenMicroseconds: try item.optionalMicroseconds("first_token_ms"),
            durationMicroseconds: try item.microseconds("ms"), error: try item.optionalText("error"))
        segment.cacheWriteTokens = try item.optionalCount("cache_write_tokens")
        guard segment.commandTokens <= segment.generatedTokens else {
            throw TraceFault(
                item.name("command_tokens"),
                "is \(segment.commandTokens), the segment has \(segment.generatedTokens) tokens, which include those of "
                    + "commands")
        }
        return segment
    }

    /// What an audit holds against the segments (I6).
    private static func checkSums(_ request: RequestRecord) throws(TraceFault) {
        for (role, member, total) in [
            ("slm", "slm_tokens", request.slmTokens), ("llm", "llm_tokens", request.llmTokens),
        ] {
            // Each is at most 9e15, and a line has far fewer than a thousand segments of that size.
            let sum = request.segments.reduce(0) { $0 &+ ($1.role == role ? $1.generatedTokens : 0) }
            guard sum == total else { throw TraceFault(member, "is \(total), its segments have \(sum)") }
        }
    }

    private static func verdicts(
        _ root: TraceObject, _ id: UUID7, choices: Int
    ) throws(TraceFault) -> [VerdictRecord] {
        var verdicts: [VerdictRecord] = []
        for item in try root.items("verdicts") {
            let source = try item.text("source")
            guard VerdictRecord.isSource(source) else {
                throw TraceFault(item.name("source"), "must be 1 to 63 of a-z 0-9 . _ -")
            }
            guard let verdict = item.present("verdict")?.double, (0.0...1.0).contains(verdict) else {
                throw TraceFault(item.name("verdict"), "must be a number from 0 to 1")
            }
            let choice = try item.count("choice")
            guard choice < choices else { throw TraceFault(item.name("choice"), "must be below choices") }
            let note = try item.text("note")
            guard note.unicodeScalars.count <= VerdictRecord.noteLimit else {
                throw TraceFault(item.name("note"), "must have at most \(VerdictRecord.noteLimit) characters")
            }
            verdicts.append(
                VerdictRecord(
                    request: id, choice: choice, source: source, verdict: verdict,
                    judged: Timestamp(microseconds: try item.microseconds("judged_ms")), note: note))
        }
        return verdicts
    }
}
