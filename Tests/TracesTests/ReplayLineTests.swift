import Accounting
import Simulator
import Synchronization
import Testing
import Wire

@testable import Traces

@Suite struct ReplayLineTests {
    /// A line with every member that a replay reads.
    static func line(
        version: Int = 2, serial: Int = 1, tenant: String = "acme", extra: String = "", tokens: String = "100",
        second: String = #""seq":1"#
    ) -> String {
        let digits = String(serial, radix: 16)
        let id = "01912acd-8e00-7a3e-8000-" + String(repeating: "0", count: 12 - digits.count) + digits
        return """
            {"version":\(version),"request_id":"\(id)","tenant":"\(tenant)","model":"relay",\(extra)\
            "policy":{"name":"relay","version":"v","propensity":null},"arrived_ms":1723000000000.25,"choices":1,\
            "prompt_tokens":120,"tags":{"team":"search","user":"u-17"},"segments":[\
            {"role":"slm","choice":0,"seq":0,"attempt":1,"model":"small","requested":100,"granted":null,"tokens":48,\
            "command_tokens":8,"finish":"call","input_tokens":120,"cost_pico":5,"started_ms":0.5,"ms":260.5},\
            {"role":"llm","choice":0,\(second),"attempt":1,"model":"large","requested":100,"granted":100,\
            "tokens":\(tokens),"command_tokens":0,"finish":"length","input_tokens":160,"cached_input_tokens":112,\
            "started_ms":261,"ms":1830}],"verdicts":[{"choice":0,"source":"unit-tests","verdict":0.5,"note":""}],\
            "counterfactual":{"slm_only":{"verdict":0,"tokens":90},"llm_only":{"verdict":1,"tokens":80},\
            "inclusion_probability":0.25}}
            """
    }

    private static func read(_ line: String, tags: Set<String> = ["team"]) throws -> LoggedRequest {
        var reader = ReplayLine(tags: tags)
        return try reader.read(Array(line.utf8))
    }

    @Test func `what a replay needs is read`() throws {
        let request = try Self.read(Self.line(extra: #""later":{"member":[1]},"#))
        #expect(request.tenant == "acme" && request.policy == "relay" && request.propensity == nil)
        #expect(request.arrived == Timestamp(microseconds: 1_723_000_000_000_250))
        #expect(request.tags == [RequestTag(key: "team", value: "search")])
        #expect(
            request.segments == [
                LoggedSegment(
                    role: .slm, sequence: 0, model: "small", requested: 100, tokens: 48, commandTokens: 8,
                    finish: .call,
                    inputTokens: 120, costPico: 5, startedMicroseconds: 500, durationMicroseconds: 260_500),
                LoggedSegment(
                    role: .llm, sequence: 1, model: "large", requested: 100, granted: 100, tokens: 100, finish: .length,
                    inputTokens: 160, cachedTokens: 112, startedMicroseconds: 261_000,
                    durationMicroseconds: 1_830_000),
            ])
        #expect(request.verdicts == [LoggedVerdict(choice: 0, source: "unit-tests", verdict: 500_000)])
        #expect(request.slmOnly == LoggedAlone(verdict: 0, tokens: 90))
        #expect(request.llmOnly == LoggedAlone(verdict: 1_000_000, tokens: 80))
        #expect(request.inclusionProbability == 0.25)
    }

    struct Bad: Sendable {
        let line: String
        let member: String?
    }

    @Test(arguments: [
        Bad(line: line(version: 1), member: "version"),
        Bad(line: line(version: 3), member: "version"),
        Bad(line: line(tokens: "-1"), member: "segments[1].tokens"),
        Bad(line: line(tokens: "2000000000"), member: "segments[1].tokens"),
        Bad(line: line(tokens: "\"100\""), member: "segments[1].tokens"),
        Bad(line: line(second: #""seq":0"#), member: "segments[1]"),
        Bad(line: line(second: #""sequence":1"#), member: "segments[1].seq"),
        Bad(line: #"{"version":2}"#, member: "request_id"),
        Bad(line: "[]", member: nil), Bad(line: "{", member: nil), Bad(line: "", member: nil),
    ])
    func `a bad line is refused by the name of its member`(_ bad: Bad) {
        #expect {
            _ = try Self.read(bad.line)
        } throws: { error in
            (error as? TraceFault)?.member == bad.member
        }
    }

    // MARK: A line that contradicts itself

    /// Segments of the SLM (48 tokens) and of two attempts at a call: 3 tokens that came before a failure, then 100.
    /// A second call is refused. So 48 and 103 tokens, and one call that was served.
    private static let attempts = line(second: #""seq":1"#).replacing(
        #"{"role":"llm""#,
        with: #"{"role":"llm","choice":0,"seq":1,"attempt":1,"model":"large","tokens":3,"command_tokens":0,"#
            + #""finish":"failed"},{"role":"llm""#
    ).replacing(
        #""seq":1,"attempt":1,"model":"large","requested""#, with: #""seq":1,"attempt":2,"model":"large","requested""#
    ).replacing(
        #""ms":1830}"#,
        with: #""ms":1830},{"role":"llm","choice":0,"seq":2,"attempt":1,"model":"large","requested":9,"granted":0,"#
            + #""tokens":0,"command_tokens":0,"finish":"refused_budget"}"#)

    private static func told(_ line: String, _ members: String) -> String {
        line.replacing(#""version":2,"#, with: #""version":2,\#(members),"#)
    }

    @Test(arguments: [
        told(line(), #""slm_tokens":48,"llm_tokens":100,"calls":1,"finished_ms":1723000000000.25"#),
        told(attempts, #""slm_tokens":48,"llm_tokens":103,"calls":1"#),
        told(line(), #""slm_tokens":null"#),
    ])
    func `totals that are the sums of the segments are read`(_ line: String) throws {
        #expect(try Self.read(line).promptTokens == 120)
    }

    struct Contradiction: Sendable {
        let line: String
        let member: String
        let said: String
    }

    @Test(arguments: [
        Contradiction(
            line: told(line(), #""slm_tokens":49"#), member: "slm_tokens", said: "is 49, its segments have 48"),
        Contradiction(
            line: told(attempts, #""llm_tokens":100"#), member: "llm_tokens", said: "is 100, its segments have 103"),
        Contradiction(
            line: line().replacing(#""command_tokens":8"#, with: #""command_tokens":49"#),
            member: "segments[0].command_tokens",
            said: "is 49, the segment has 48 tokens, which include those of commands"),
        Contradiction(
            line: line().replacing(#""input_tokens":160"#, with: #""input_tokens":9000000000000001"#),
            member: "segments[1].input_tokens",
            said: "must be a whole number from 0 to 9000000000000000, or null"),
        Contradiction(
            line: told(attempts, #""calls":2"#), member: "calls",
            said: "is 2, its segments have 1 that were served"),
        Contradiction(
            line: told(line(), #""finished_ms":1723000000000.249"#), member: "finished_ms",
            said: "must not be before arrived_ms"),
        Contradiction(
            line: told(
                #"{"version":2,"request_id":"01912acd-8e00-7a3e-8000-000000000001","tenant":"a","model":"m","#
                    + #""policy":{"name":"slm"},"arrived_ms":1723000000000,"choices":1,"prompt_tokens":1,"tags":{},"#
                    + #""segments":[],"verdicts":[]}"#, #""slm_tokens":5"#),
            member: "slm_tokens", said: "is 5, its segments have 0"),
    ])
    func `a line that contradicts its segments is refused by the member`(_ wrong: Contradiction) {
        #expect {
            _ = try Self.read(wrong.line)
        } throws: { error in
            let fault = error as? TraceFault
            return fault?.member == wrong.member && fault?.rule == wrong.said
        }
    }

    @Test func `an answer of the LLM alone is no call, and each answer has its own`() throws {
        let first = LoggedSegment(role: .llm, sequence: 0, model: "large", tokens: 9, finish: .stop)
        var called = LoggedSegment(role: .llm, choice: 1, sequence: 0, model: "large", tokens: 9, finish: .stop)
        called.granted = 9
        var other = called
        other.choice = 2
        let request = LoggedRequest(
            id: UUID7(high: 0, low: 0), tenant: "t", model: "m", policy: "relay",
            arrived: Timestamp(microseconds: 0), choices: 3, promptTokens: 1, segments: [first, called, other])
        #expect(request.servedCalls == 2)
    }

    /// A server may send more than was granted, say that more came from its cache than it read, and end for a reason
    /// of its own: an export has it, so it is read.
    @Test func `what servers report is taken as the ledger takes it`() throws {
        let line = Self.line().replacing(#""granted":100"#, with: #""granted":90"#)
            .replacing(#""cached_input_tokens":112"#, with: #""cached_input_tokens":9000000000000000"#)
            .replacing(#""finish":"length""#, with: #""finish":"content_filter""#)
            .replacing(#""command_tokens":8"#, with: #""command_tokens":48"#)
        let segments = try Self.read(line).segments
        #expect(segments[0].commandTokens == 48)
        #expect(segments[1].granted == 90 && segments[1].tokens == 100 && segments[1].finish == .other)
        #expect(segments[1].cachedTokens == LoggedRequest.tokenLimit)
    }

    // MARK: Several threads

    private static func scenario() -> Scenario {
        var scenario = Scenario(title: "parallel")
        let budget = BudgetRule(tenant: nil, tokens: 2000, window: .total, onExhausted: .degrade)
        scenario.policies = [
            PolicyEntry(name: "as logged", counterfactual: .asLogged),
            PolicyEntry(name: "cap", counterfactual: .capTokensPerCall(50)),
            PolicyEntry(name: "budget", counterfactual: .budgets([budget])),
        ]
        scenario.replicates = 0
        return scenario
    }

    /// Gives text in pieces, as a file is read.
    private final class Pieces: Sendable {
        private let left: Mutex<ArraySlice<UInt8>>
        private let size: Int

        init(_ text: [UInt8], size: Int) {
            left = Mutex(text[...])
            self.size = size
        }

        func next() -> [UInt8]? {
            left.withLock { left in
                let piece = left.prefix(size)
                left = left.dropFirst(size)
                return piece.isEmpty ? nil : Array(piece)
            }
        }
    }

    private static func replay(
        _ text: [UInt8], threads: Int, piece: Int = 70_001, shard: ParallelReplay.Shard? = nil,
        after earlier: [UInt8]? = nil
    ) async throws -> (bytes: [UInt8], rerun: [UUID7], requests: Int) {
        let pieces = Pieces(text, size: piece)
        let rerun = Mutex<[UUID7]>([])
        let done = Mutex(0)
        let start = try earlier.map { try TraceSimulation.decode($0, scenario: scenario()) }
        let replay = try ParallelReplay(
            try start ?? TraceSimulation(scenario()), shard: shard, next: { pieces.next() },
            onRerun: { request, _ in rerun.withLock { $0.append(request.id) } },
            onProgress: { progress in done.withLock { $0 = progress.requests } })
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<threads { group.addTask { replay.work() } }
        }
        return (try replay.result().encode(), rerun.withLock { $0 }, done.withLock { $0 })
    }

    @Test func `threads and pieces are not seen in the result`() async throws {
        // More than two blocks.
        let count = ParallelReplay.block * 5 / 2 / Self.line().utf8.count
        let text = (1...count).map { Self.line(serial: $0, tenant: "t\($0 % 5)") }.joined(separator: "\n")
        let bytes = Array(text.utf8)
        let one = try await Self.replay(bytes, threads: 1)
        #expect(one.requests == count)
        // Every call has 100 tokens, so every request is cut; they are told in the order of the file.
        #expect(one.rerun.count == count && one.rerun == one.rerun.sorted())
        let three = try await Self.replay(bytes, threads: 3, piece: 999_983)
        #expect(three == one)
        // Two halves, the second going on from what the first has left, budgets included.
        let border = try #require(bytes[..<(bytes.count / 2)].lastIndex(of: 0x0A))
        let first = try await Self.replay(Array(bytes[...border]), threads: 2)
        let second = try await Self.replay(Array(bytes[(border + 1)...]), threads: 2, after: first.bytes)
        #expect(second.bytes == one.bytes)
        var merged = try TraceSimulation(Self.scenario())
        for shard in [2, 0, 3, 1] {
            let part = try await Self.replay(bytes, threads: 2, shard: ParallelReplay.Shard(index: shard, count: 4))
            try merged.merge(try TraceSimulation.decode(part.bytes, scenario: Self.scenario()))
        }
        #expect(merged.encode() == one.bytes)
    }

    @Test func `a bad line is named by its number`() async throws {
        let text = [Self.line(serial: 1), Self.line(serial: 2), "", "{}", Self.line(serial: 3)]
        await #expect {
            _ = try await Self.replay(Array(text.joined(separator: "\n").utf8), threads: 2, piece: 100)
        } throws: { error in
            (error as? TraceFault)?.line == 4
        }
    }
}
