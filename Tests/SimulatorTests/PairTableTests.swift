import Testing

@testable import Simulator

@Suite struct PairTableTests {
    struct Fault: Sendable, CustomTestStringConvertible {
        let csv: String
        var columns = ""
        let field: String?
        /// What the message has to say.
        let says: [String]
        var testDescription: String { says.joined(separator: "; ") }
    }

    static let faults = [
        Fault(csv: "", field: nil, says: ["the file is empty", "name the columns"]),
        Fault(csv: "slm_correct,llm_correct\n", field: nil, says: ["no row has both verdicts"]),
        Fault(csv: "slm_correct,llm_correct\n,1\n", field: nil, says: ["no row has both verdicts"]),
        Fault(
            csv: "id,right\n1,1\n", field: "slm_correct",
            says: ["no column slm_correct or weak_correct", "id, right", "--columns slm_correct=NAME"]),
        Fault(
            csv: "slm_correct,weak_correct,llm_correct\n1,1,1\n", field: "slm_correct",
            says: ["slm_correct and weak_correct", "--columns slm_correct=slm_correct"]),
        Fault(
            csv: "slm_correct,slm_correct,llm_correct\n1,1,1\n", field: "slm_correct", says: ["line 1", "two columns"]),
        Fault(
            csv: "slm_correct,llm_correct\n1,0\n1,0.5\n", field: "llm_correct",
            says: ["line 3", "\"0.5\" is no verdict", "1 or true"]),
        Fault(
            csv: "slm_correct,llm_correct,slm_tokens\n1,0,-3\n", field: "slm_tokens",
            says: ["line 2", "\"-3\" is no count of tokens"]),
        Fault(
            csv: "slm_correct,llm_correct,slm_tokens\n1,0,9999999999\n", field: "slm_tokens",
            says: ["line 2", "from 0 to 1000000000"]),
        Fault(
            csv: "slm_correct,llm_correct\n1,0,1\n", field: nil, says: ["line 2 has 3 fields and the header has 2"]),
        Fault(csv: "slm_correct,llm_correct\n1,\"0\n", field: nil, says: ["line 2: a quote is not closed"]),
        Fault(
            csv: "slm_correct,llm_correct\n1,0\n", columns: "slm_tokens=length", field: "slm_tokens",
            says: ["no column length"]),
        Fault(
            csv: "slm_correct,llm_correct\n1,0\n", columns: "slm_corect=x", field: "columns",
            says: ["no role of a column", "did you mean slm_correct?"]),
        Fault(csv: "x\n", columns: "slm_correct", field: "columns", says: ["is not ROLE=COLUMN"]),
        Fault(csv: "x\n", columns: "id=a,id=b", field: "columns", says: ["id is named twice"]),
    ]

    @Test(arguments: faults)
    func `a bad table is refused by line and column`(_ fault: Fault) throws {
        let error = #expect(throws: SimulationError.self) {
            let columns = fault.columns.isEmpty ? PairColumns() : try PairColumns(fault.columns)
            _ = try PairTable(csv: fault.csv.utf8, columns: columns)
        }
        #expect(error?.field == fault.field)
        for part in fault.says { #expect(error?.message.contains(part) == true, "\(error?.message ?? "none")") }
    }

    @Test func `several names of a question are no fault`() throws {
        let table = try PairTable(csv: "question,id,slm_correct,llm_correct\nq,1,1,0\n".utf8)
        #expect(table.roles[.id] == "id")
    }

    @Test func `requests with empty fields are left out whole and counted`() throws {
        let csv = """
            \u{FEFF}weak_correct,strong_correct,weak_tokens,note
            1,0,5,
            ,1,5,missing verdict
            0,1,,missing count
            true,false,7,"quoted, with comma"
            0,,,two missing
            """
        let table = try PairTable(csv: csv.utf8)
        #expect(table.header.first == "weak_correct")
        #expect(table.rows.map(\.line) == [2, 5])
        #expect(table.counts == PairCounts(slmOnly: 2))
        #expect(table.slmTokens == 12)
        #expect(!table.hasTokens)
        #expect(table.missing.map(\.column) == ["weak_correct", "strong_correct", "weak_tokens"])
        #expect(table.missing.map(\.requests) == [1, 1, 1])
        #expect(try table.column("note", for: "score") == ["", "quoted, with comma"])
        #expect(throws: SimulationError(.scenario, "score", "there is no column not; did you mean note?")) {
            try table.column("not", for: "score")
        }
    }
}
