internal import Accounting
internal import Postgres
internal import Simulator

/// The requests of a page of the ledger, from rows in the order of ids. What comes out is what `ReplayLine` reads from
/// the line that an export writes of the same request, with the same limits.
struct LedgerPage {
    private(set) var requests: [LoggedRequest] = []
    private let tags: [String]

    init(tags: [String]) { self.tags = tags }

    var ids: [UUID7] { requests.map(\.id) }

    /// - Throws: `PostgresError` or `TraceFault`, as the others do.
    mutating func readRequests(_ rows: PostgresRows, where isWanted: (LoggedRequest) -> Bool) throws {
        requests.reserveCapacity(rows.count)
        let (id, tenant, model) = (try rows.column("id"), try rows.column("tenant"), try rows.column("model"))
        let (policy, propensity) = (try rows.column("policy"), try rows.column("propensity"))
        let (started, choices) = (try rows.column("started_at"), try rows.column("choices"))
        let (promptTokens, values) = (try rows.column("prompt_tokens"), try rows.column("tags"))
        for row in 0..<rows.count {
            var request = LoggedRequest(
                id: try id.uuid(row), tenant: try tenant.text(row), model: try model.text(row),
                policy: try policy.text(row), propensity: try propensity.optionalDouble(row),
                arrived: try started.timestamp(row), choices: try choices.int(row),
                promptTokens: try promptTokens.int(row))
            guard isWanted(request) else { continue }
            guard (0...LedgerPage.timeLimit).contains(request.arrived.microseconds) else {
                throw fault(request, "arrived_ms", "must be a number of milliseconds")
            }
            try check(request.choices, request, "choices", from: 1)
            try check(request.promptTokens, request, "prompt_tokens")
            if !tags.isEmpty {
                for (key, value) in zip(tags, try values.texts(row)) {
                    if let value { request.tags.append(RequestTag(key: key, value: value)) }
                }
            }
            requests.append(request)
        }
    }

    mutating func readSegments(_ rows: PostgresRows) throws {
        let columns = try SegmentColumns(rows)
        var row = 0
        for index in requests.indices {
            var segments: [LoggedSegment] = []
            let id = requests[index].id
            while row < rows.count {
                let own = try columns.request.uuid(row)
                if own > id { break }
                defer { row += 1 }
                // A filter may have left its request out.
                guard own == id else { continue }
                let segment = try columns.segment(row, arrived: requests[index].arrived)
                if let wrong = LedgerPage.tooLarge(segment) {
                    throw fault(
                        requests[index], "segments[\(segments.count)].\(wrong)",
                        "must be a whole number from 0 to \(LoggedRequest.tokenLimit)")
                }
                segments.append(segment)
            }
            guard segments.count <= LoggedRequest.segmentLimit else {
                throw fault(requests[index], "segments", "must be at most \(LoggedRequest.segmentLimit)")
            }
            LedgerPage.moveCommands(&segments)
            requests[index].segments = segments
        }
    }

    mutating func readVerdicts(_ rows: PostgresRows) throws {
        let (request, choice) = (try rows.column("request_id"), try rows.column("choice"))
        let (source, verdict) = (try rows.column("source"), try rows.column("verdict"))
        var index = 0
        for row in 0..<rows.count {
            let id = try request.uuid(row)
            while index < requests.count, requests[index].id < id { index += 1 }
            // A judgement of a request that is no more.
            guard index < requests.count, requests[index].id == id else { continue }
            let number = try choice.int(row)
            guard number < requests[index].choices else {
                throw fault(
                    requests[index], "verdicts[\(requests[index].verdicts.count)].choice", "must be below choices")
            }
            let share = Int((try verdict.double(row) * 1_000_000).rounded())
            requests[index].verdicts.append(
                LoggedVerdict(choice: number, source: try source.text(row), verdict: share))
        }
    }

    /// The member of a segment that is above what a replay takes.
    private static func tooLarge(_ segment: LoggedSegment) -> String? {
        if segment.tokens > LoggedRequest.tokenLimit { return "tokens" }
        if segment.commandTokens > LoggedRequest.tokenLimit { return "command_tokens" }
        if segment.choice > LoggedRequest.tokenLimit { return "choice" }
        if segment.sequence > LoggedRequest.tokenLimit { return "seq" }
        return segment.attempt > LoggedRequest.tokenLimit ? "attempt" : nil
    }

    /// The last moment of the trace format, in microseconds.
    private static let timeLimit: Int64 = 9_000_000_000_000_000

    /// An export gives the n of a command to the segment of the SLM that wrote it: what the next segment of the same
    /// answer carries, if that is a call. Segments are in order.
    private static func moveCommands(_ segments: inout [LoggedSegment]) {
        for index in segments.indices where segments[index].role == .slm {
            let segment = segments[index]
            segments[index].requested = nil
            guard segment.commandTokens > 0 else { continue }
            var next = index + 1
            while next < segments.count, segments[next].sequence == segment.sequence,
                segments[next].choice == segment.choice
            { next += 1 }
            guard next < segments.count, segments[next].choice == segment.choice, segments[next].role == .llm else {
                continue
            }
            segments[index].requested = segments[next].requested
        }
    }

    private func check(_ count: Int, _ request: LoggedRequest, _ member: String, from least: Int = 0) throws {
        guard (least...LoggedRequest.tokenLimit).contains(count) else {
            throw fault(request, member, "must be a whole number from \(least) to \(LoggedRequest.tokenLimit)")
        }
    }

    private func fault(_ request: LoggedRequest, _ member: String, _ rule: String) -> TraceFault {
        TraceFault(member, "\(rule), in request \(request.id)")
    }
}

/// The columns of rows of segments.
private struct SegmentColumns {
    let request, choice, sequence, attempt, role, model, requested, granted, promptTokens: PostgresColumn
    let cachedTokens, cacheWriteTokens, tokens, commandTokens, finish, started, duration, cost: PostgresColumn

    init(_ rows: PostgresRows) throws(PostgresError) {
        request = try rows.column("request_id")
        choice = try rows.column("choice")
        sequence = try rows.column("seq")
        attempt = try rows.column("attempt")
        role = try rows.column("role")
        model = try rows.column("model")
        requested = try rows.column("requested")
        granted = try rows.column("granted")
        promptTokens = try rows.column("prompt_tokens")
        cachedTokens = try rows.column("cached_tokens")
        cacheWriteTokens = try rows.column("cache_write_tokens")
        tokens = try rows.column("generated_tokens")
        commandTokens = try rows.column("command_tokens")
        finish = try rows.column("finish")
        started = try rows.column("started_at")
        duration = try rows.column("duration_us")
        cost = try rows.column("cost_pico")
    }

    func segment(_ row: Int, arrived: Timestamp) throws(PostgresError) -> LoggedSegment {
        LoggedSegment(
            role: try role.text(row) == "llm" ? .llm : .slm, choice: try choice.int(row),
            sequence: try sequence.int(row), attempt: try attempt.int(row), model: try model.text(row),
            requested: try capped(requested, row), granted: try capped(granted, row), tokens: try tokens.int(row),
            commandTokens: try commandTokens.int(row), finish: LoggedSegment.Finish(try finish.text(row)),
            inputTokens: try capped(promptTokens, row), cachedTokens: try capped(cachedTokens, row),
            cacheWriteTokens: try capped(cacheWriteTokens, row), costPico: try cost.optionalInt(row),
            startedMicroseconds: try started.timestamp(row).microseconds &- arrived.microseconds,
            durationMicroseconds: Int64(try duration.int(row)))
    }

    /// What is above the limit means the same as the limit, as in a line of a trace.
    private func capped(_ column: PostgresColumn, _ row: Int) throws(PostgresError) -> Int? {
        try column.optionalInt(row).map { min($0, LoggedRequest.tokenLimit) }
    }
}
