package import Accounting
package import Store
internal import Wire

extension DeadLetter {
    /// Reads the record, so that it can be tried again. Text of prompts and answers is lost: hashes are left of it.
    ///
    /// - Throws: `TraceFault` that names the member which no ledger takes, or says that it was forgotten.
    package func readRecord() throws(TraceFault) -> RequestRecord {
        var parser = JSONParser()
        var result: Result<RequestRecord, TraceFault>?
        do throws(WireError) {
            try parser.read(Array(record.utf8)) { root in
                do throws(TraceFault) {
                    result = .success(try DeadLetter.request(TraceObject(root, path: "")))
                } catch {
                    result = .failure(error)
                }
            }
        } catch {
            throw TraceFault(nil, "the record is no JSON")
        }
        guard let found = try result?.get() else { throw TraceFault(nil, "the record is no JSON") }
        guard found.id == request else { throw TraceFault("id", "is not the request's") }
        return found
    }

    private static func request(_ root: TraceObject) throws(TraceFault) -> RequestRecord {
        if root.present("forgotten")?.bool == true {
            throw TraceFault(nil, "it was forgotten: only its tenant is left")
        }
        var request = RequestRecord(
            id: try root.id("id"), tenant: try root.id("tenant_id"), key: try root.id("key_id"),
            model: try root.indexed("model"), policy: try root.indexed("policy"),
            policyVersion: try root.text("policy_version"), propensity: try root.propensity(),
            endpoint: try root.text("endpoint"), isStream: try root.flag("is_stream"),
            choices: try root.count("choices"), started: try root.moment("started_us"))
        request.finished = try root.moment("finished_us")
        try request.readEnd(root)
        request.errorCode = try root.optionalText("error_code")
        guard let tags = root.present("tags"), tags.isObject else { throw TraceFault("tags", "must be an object") }
        for tag in tags.children {
            guard let value = tag.string else { throw TraceFault("tags.\(tag.key)", "must be a text") }
            request.tags.append(RequestTag(key: tag.key, value: value))
        }
        for item in try root.items("segments") { request.segments.append(try segment(item)) }
        for item in try root.items("payloads") {
            guard let sha256 = digest(try item.text("sha256")) else {
                throw TraceFault(item.name("sha256"), "must be 64 hexadecimal digits")
            }
            request.payloads.append(PayloadRecord(part: try item.text("part"), sha256: sha256, body: nil))
        }
        return request
    }

    /// The 32 bytes that 64 hexadecimal digits say.
    private static func digest(_ text: String) -> [UInt8]? {
        let values = text.utf8.compactMap { digit in Character(UnicodeScalar(digit)).hexDigitValue.map { UInt8($0) } }
        guard values.count == 64, text.utf8.count == 64 else { return nil }
        return stride(from: 0, to: 64, by: 2).map { values[$0] << 4 | values[$0 + 1] }
    }

    private static func segment(_ item: TraceObject) throws(TraceFault) -> SegmentRecord {
        var segment = SegmentRecord(
            choice: try item.count("choice"), sequence: try item.count("seq"),
            attempt: try item.count("attempt", from: 1),
            role: try item.choice("role", ["slm", "llm"]), model: try item.indexed("model"),
            upstream: try item.indexed("upstream"), requested: try item.optionalCount("requested"),
            granted: try item.optionalCount("granted"), promptTokens: try item.optionalCount("prompt_tokens"),
            cachedTokens: try item.optionalCount("cached_tokens"), generatedTokens: try item.count("generated_tokens"),
            commandTokens: try item.count("command_tokens"), source: try item.text("source"),
            commandSource: try item.text("command_source"), finish: try item.text("finish"),
            started: try item.moment("started_us"),
            firstTokenMicroseconds: try item.optionalCount("first_token_us").map { Int64($0) },
            durationMicroseconds: Int64(try item.count("duration_us")), error: try item.optionalText("error"))
        segment.cacheWriteTokens = try item.optionalCount("cache_write_tokens")
        return segment
    }
}

extension TraceObject {
    fileprivate func id(_ member: StaticString) throws(TraceFault) -> UUID7 {
        guard let id = UUID7(try text(member)) else { throw TraceFault(name(member), "must be a UUID") }
        return id
    }

    fileprivate func moment(_ member: StaticString) throws(TraceFault) -> Timestamp {
        Timestamp(microseconds: Int64(try count(member)))
    }
}
