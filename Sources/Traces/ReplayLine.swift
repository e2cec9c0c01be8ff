internal import Accounting
package import Simulator
internal import Wire

/// Reads lines of the trace format straight into what a replay needs of them. Members that it does not need are not
/// looked at; an import checks them all.
package struct ReplayLine: ~Copyable {
    private var parser = JSONParser()
    private let tags: Set<String>
    /// Names of models, tenants and policies that were read, so that the same name is one text.
    private var names = NameTable()

    /// - Parameter tags: the tags to keep; the others are left out.
    package init(tags: Set<String>) { self.tags = tags }

    /// Reads a line.
    ///
    /// - Throws: `TraceFault` that names the member.
    package mutating func read(_ line: Swift.Span<UInt8>) throws(TraceFault) -> LoggedRequest {
        var result: Result<LoggedRequest, TraceFault>?
        let tags = tags
        var names = NameTable()
        swap(&names, &self.names)
        defer { swap(&names, &self.names) }
        do throws(WireError) {
            try parser.read(line) { root in
                do throws(TraceFault) {
                    result = .success(try ReplayLine.request(root, tags, &names))
                } catch {
                    result = .failure(error)
                }
            }
        } catch {
            throw TraceFault(nil, "is no JSON: \(error.message)")
        }
        guard let result else { throw TraceFault(nil, "is no JSON") }
        return try result.get()
    }

    package mutating func read(_ line: [UInt8]) throws(TraceFault) -> LoggedRequest { try read(line.span) }

    // MARK: A request

    private static func request(
        _ value: JSON, _ tags: Set<String>, _ names: inout NameTable
    ) throws(TraceFault) -> LoggedRequest {
        let root = try TraceObject(value, path: "")
        try root.checkVersion()
        guard let id = UUID7(try root.text("request_id")) else { throw TraceFault("request_id", "must be a UUID") }
        guard let policyValue = root.present("policy") else { throw TraceFault("policy", "must be an object") }
        let policy = try TraceObject(policyValue, path: "policy")
        let propensity = policy.present("propensity")
        if let propensity, !((propensity.double ?? 0) > 0 && (propensity.double ?? 0) <= 1) {
            throw TraceFault("policy.propensity", "must be above 0 and at most 1, or null")
        }
        var request = LoggedRequest(
            id: id, tenant: try names.text(root, "tenant"), model: try names.text(root, "model"),
            policy: try names.text(policy, "name"), propensity: propensity?.double,
            arrived: Timestamp(microseconds: try root.microseconds("arrived_ms")),
            choices: try root.tokens("choices", from: 1), promptTokens: try root.tokens("prompt_tokens"))
        if !tags.isEmpty { request.tags = try ReplayLine.tags(root, tags) }
        request.segments = try ReplayLine.segments(root, &names)
        try ReplayLine.checkSums(root, request)
        request.verdicts = try ReplayLine.verdicts(root, choices: request.choices, &names)
        try ReplayLine.readCounterfactual(root, &request)
        return request
    }

    private static func tags(_ root: TraceObject, _ wanted: Set<String>) throws(TraceFault) -> [RequestTag] {
        guard let object = root.present("tags"), object.isObject else { throw TraceFault("tags", "must be an object") }
        var tags: [RequestTag] = []
        for member in object.children {
            let key = member.key
            guard wanted.contains(key) else { continue }
            guard let value = member.string else { throw TraceFault("tags.\(key)", "must be a text") }
            tags.append(RequestTag(key: key, value: value))
        }
        return tags
    }

    private static func segments(
        _ root: TraceObject, _ names: inout NameTable
    ) throws(TraceFault) -> [LoggedSegment] {
        guard let list = root.present("segments"), list.isArray else {
            throw TraceFault("segments", "must be an array")
        }
        guard list.count <= LoggedRequest.segmentLimit else {
            throw TraceFault("segments", "must be at most \(LoggedRequest.segmentLimit)")
        }
        var segments: [LoggedSegment] = []
        segments.reserveCapacity(list.count)
        var before: (choice: Int, sequence: Int, attempt: Int)?
        for (position, item) in list.children.enumerated() {
            var reader = SegmentReader()
            if let wrong = reader.read(item, &names) {
                throw TraceFault("segments[\(position)]\(wrong.member)", wrong.rule)
            }
            let segment = reader.segment
            let place = (choice: segment.choice, sequence: segment.sequence, attempt: segment.attempt)
            if let before, before >= place {
                throw TraceFault(
                    "segments[\(position)]", "must come behind the one before it: by choice, then seq, then attempt")
            }
            before = place
            segments.append(segment)
        }
        return segments
    }

    /// What the line says of the request as a whole must be what its segments say. A table that leaves such a column
    /// out says nothing with it.
    private static func checkSums(_ root: TraceObject, _ request: LoggedRequest) throws(TraceFault) {
        if let finished = try root.optionalMicroseconds("finished_ms"), finished < request.arrived.microseconds {
            throw TraceFault("finished_ms", "must not be before arrived_ms")
        }
        // At most 10,000 segments of 1,000,000,000 tokens.
        var (slm, llm) = (0, 0)
        for segment in request.segments {
            if segment.role == .llm { llm += segment.tokens } else { slm += segment.tokens }
        }
        try check(root, "slm_tokens", slm)
        try check(root, "llm_tokens", llm)
        try check(root, "calls", request.servedCalls, " that were served")
    }

    private static func check(
        _ root: TraceObject, _ member: StaticString, _ sum: Int, _ which: String = ""
    ) throws(TraceFault) {
        guard let total = try root.optionalCount(member), total != sum else { return }
        throw TraceFault(root.name(member), "is \(total), its segments have \(sum)\(which)")
    }

    private static func verdicts(
        _ root: TraceObject, choices: Int, _ names: inout NameTable
    ) throws(TraceFault) -> [LoggedVerdict] {
        var verdicts: [LoggedVerdict] = []
        for item in try root.items("verdicts") {
            let choice = try item.tokens("choice")
            guard choice < choices else { throw TraceFault(item.name("choice"), "must be below choices") }
            guard let verdict = try item.share("verdict") else {
                throw TraceFault(item.name("verdict"), "must be a number from 0 to 1")
            }
            verdicts.append(
                LoggedVerdict(choice: choice, source: try names.text(item, "source"), verdict: verdict))
        }
        return verdicts
    }

    private static func readCounterfactual(
        _ root: TraceObject, _ request: inout LoggedRequest
    ) throws(TraceFault) {
        guard let value = root.present("counterfactual") else { return }
        let object = try TraceObject(value, path: "counterfactual")
        request.slmOnly = try alone(object, "slm_only")
        request.llmOnly = try alone(object, "llm_only")
        guard let probability = object.present("inclusion_probability") else { return }
        guard let value = probability.double, value > 0, value <= 1 else {
            throw TraceFault("counterfactual.inclusion_probability", "must be above 0 and at most 1, or null")
        }
        request.inclusionProbability = value
    }

    private static func alone(_ object: TraceObject, _ member: StaticString) throws(TraceFault) -> LoggedAlone? {
        guard let value = object.present(member) else { return nil }
        let alone = try TraceObject(value, path: object.name(member))
        return LoggedAlone(verdict: try alone.share("verdict"), tokens: try alone.tokens("tokens"))
    }
}

extension TraceObject {
    /// A whole number that a replay can add up.
    fileprivate func tokens(_ member: StaticString, from least: Int = 0) throws(TraceFault) -> Int {
        guard let count = present(member)?.int, (least...LoggedRequest.tokenLimit).contains(count) else {
            throw TraceFault(name(member), "must be a whole number from \(least) to \(LoggedRequest.tokenLimit)")
        }
        return count
    }

    /// A share in millionths; nil when it is null or absent.
    fileprivate func share(_ member: StaticString) throws(TraceFault) -> Int? {
        guard let value = present(member) else { return nil }
        guard let share = value.double, (0...1).contains(share) else {
            throw TraceFault(name(member), "must be a number from 0 to 1")
        }
        return Int((share * 1_000_000).rounded())
    }
}
