import Accounting
import Simulator
import Testing

@testable import Traces

@Suite struct TraceTableLinesTests {
    private static let header =
        "request_id,tenant,model,policy,propensity,arrived_ms,choices,prompt_tokens,tags,verdicts,segment_role,"
        + "segment_choice,segment_seq,segment_attempt,segment_model,segment_requested,segment_granted,segment_tokens,"
        + "segment_command_tokens,segment_finish,segment_input_tokens,segment_started_ms,segment_ms"
    private static let id = "01912acd-8e00-7a3e-8000-00000000000"

    private static func head(_ serial: Int) -> String {
        "\(id)\(serial),acme,relay,random(0.5),0.5,1723000000000.25,1,120,\"{\"\"team\"\":\"\"a\"\"}\","
            + "\"[{\"\"choice\"\":0,\"\"source\"\":\"\"s\"\",\"\"verdict\"\":1.0,\"\"note\"\":\"\"\"\"}]\","
    }

    private static var table: String {
        [
            header, head(1) + "slm,0,0,1,small,100,,48,8,call,120,0.5,260.5",
            head(1) + "llm,0,1,1,large,100,100,100,0,length,160,261,1830", head(2) + ",,,,,,,,,,,,", "",
        ].joined(separator: "\n")
    }

    private static func read(_ text: String, piece: Int) throws -> (requests: [LoggedRequest], rows: [Int]) {
        var table = TraceTableLines()
        var lines = LineReader()
        var found: [(number: Int, bytes: [UInt8])] = []
        let bytes = Array(text.utf8)
        for start in stride(from: 0, to: bytes.count, by: piece) {
            found += try lines.read(try table.read(Array(bytes[start..<min(bytes.count, start + piece)])))
        }
        found += try lines.read(try table.finish())
        var reader = ReplayLine(tags: ["team"])
        var requests: [LoggedRequest] = []
        for line in found { requests.append(try reader.read(line.bytes)) }
        return (requests, found.map(\.number))
    }

    @Test(arguments: [1, 7, 10_000])
    func `a table gives the requests that its rows describe`(_ piece: Int) throws {
        let (requests, rows) = try Self.read(Self.table, piece: piece)
        try #require(requests.count == 2)
        // The first row of each, behind the header.
        #expect(rows == [2, 4])
        #expect(requests[0].propensity == 0.5 && requests[0].tag("team") == "a")
        #expect(requests[0].verdicts == [LoggedVerdict(choice: 0, source: "s", verdict: 1_000_000)])
        #expect(
            requests[0].segments == [
                LoggedSegment(
                    role: .slm, sequence: 0, model: "small", requested: 100, tokens: 48, commandTokens: 8,
                    finish: .call,
                    inputTokens: 120, startedMicroseconds: 500, durationMicroseconds: 260_500),
                LoggedSegment(
                    role: .llm, sequence: 1, model: "large", requested: 100, granted: 100, tokens: 100, finish: .length,
                    inputTokens: 160, startedMicroseconds: 261_000, durationMicroseconds: 1_830_000),
            ])
        #expect(requests[1].segments.isEmpty && requests[1].promptTokens == 120)
    }

    @Test(arguments: [
        ("a,b\n1,2\n", "request_id", 1), (header + "\nx\n", nil, 2), (header + "\n\"x", nil, 2), ("", nil, 1),
    ])
    func `what is no table is refused by its line`(_ text: String, _ member: String?, _ line: Int) {
        #expect {
            _ = try Self.read(text, piece: 1000)
        } throws: { error in
            let fault = error as? TraceFault
            return fault?.member == member && fault?.line == line
        }
    }

    @Test(arguments: [("48", "2", "calls"), ("47", "1", "slm_tokens")])
    func `totals of a table are held against its rows`(_ tokens: String, _ calls: String, _ member: String) {
        // The rows of the first request have 48 tokens of the SLM and one call; both totals stand behind each row.
        let rows = Self.table.split(separator: "\n", omittingEmptySubsequences: false).enumerated().map { index, row in
            index == 0 ? "\(row),slm_tokens,calls" : row.isEmpty ? "" : "\(row),\(tokens),\(calls)"
        }
        #expect {
            _ = try Self.read(rows.joined(separator: "\n"), piece: 1000)
        } throws: { ($0 as? TraceFault)?.member == member }
    }

    @Test func `a cell that is no number is named by the member`() {
        #expect {
            _ = try Self.read(Self.table.replacing(",48,8,call", with: ",4x,8,call"), piece: 1000)
        } throws: { ($0 as? TraceFault)?.member == "segments[0].tokens" }
    }
}
