import Testing

@testable import Simulator

/// Each warning of a report on a pair table, there when the table tells it and not otherwise.
@Suite struct PairWarningTests {
    /// 1,000 rows: the SLM is right on the first 500, the LLM on the first 700.
    private static func csv(_ header: String = "", _ count: Int = 1000, _ more: (Int) -> String = { _ in "" }) -> String
    {
        let rows = (0..<count).map { index in "\(index < 500 ? 1 : 0),\(index < 700 ? 1 : 0)\(more(index))" }
        return (["slm_correct,llm_correct\(header)"] + rows).joined(separator: "\n")
    }

    private static func warnings(
        _ csv: String = csv(), _ change: (inout PairOptions) -> Void = { _ in }
    ) throws -> [String] {
        var options = PairOptions(source: "table")
        options.bootstrap.replicates = 0
        change(&options)
        return try PairAnalysis.report(PairTable(csv: csv.utf8), options).warnings
    }

    private static func expect(
        _ warnings: [String], _ expected: String..., sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(
            warnings.count == expected.count && expected.allSatisfy { text in warnings.contains { $0.contains(text) } },
            "\(warnings)", sourceLocation: sourceLocation)
    }

    @Test func `a calm table has none`() throws {
        Self.expect(try Self.warnings())
    }

    @Test func `few rows`() throws {
        Self.expect(try Self.warnings(Self.csv("", 999)), "is noise; there are 999")
    }

    @Test func `verdicts that are missing`() throws {
        Self.expect(
            try Self.warnings(Self.csv() + "\n1,\n"), "are left out whole; verdicts are seldom missing at random")
    }

    @Test func `lengths and prices`() throws {
        let (header, equal) = (",slm_tokens,llm_tokens,prompt_tokens", Self.csv)
        Self.expect(try Self.warnings(equal(header, 1000) { _ in ",5,5,1" }))
        Self.expect(
            try Self.warnings(equal(header, 1000) { _ in ",5,6,1" }), "a share of requests is not a share of tokens")
        Self.expect(
            try Self.warnings(equal(header, 1000) { _ in ",5,5,1" }) { $0.prices = KnownPairs.prices }, "prices age")
    }

    @Test func `labels by two rules`() throws {
        let header = ",slm_correct_lenient,llm_correct_lenient"
        func lenient(_ slm: Range<Int>, _ llm: Range<Int>) -> String {
            Self.csv(header) { ",\(slm.contains($0) ? 1 : 0),\(llm.contains($0) ? 1 : 0)" }
        }
        Self.expect(try Self.warnings(lenient(0..<500, 0..<700)))
        // The LLM is judged again and is right ten times more; of the SLM ten are right and ten wrong.
        Self.expect(
            try Self.warnings(lenient(10..<510, 0..<710)), "changes 20 verdicts of the SLM and 10 of the LLM",
            "every verdict of the LLM that the second rule changes becomes right")
        Self.expect(try Self.warnings(lenient(0..<490, 0..<700)), "changes 10 verdicts of the SLM and 0 of the LLM")
    }

    @Test func `contamination that is marked`() throws {
        Self.expect(try Self.warnings(Self.csv(",contaminated") { _ in ",0" }))
        Self.expect(
            try Self.warnings(Self.csv(",contaminated") { $0 < 3 ? ",1" : ",0" }), "3 requests are marked contaminated")
    }

    @Test func `a tenant with more than a fifth`() throws {
        func tenants(_ more: Int) -> String { Self.csv(",tenant") { $0 < more ? ",t0" : ",t\($0 % 5)" } }
        Self.expect(try Self.warnings(tenants(0)))
        Self.expect(
            try Self.warnings(tenants(5)),
            "tenant t0 has 20.4 % of the requests: requests of one tenant are not independent")
        Self.expect(
            try Self.warnings(tenants(5)) { $0.cluster = .tenant }, "intervals by tenant rest on few tenants",
            "one cluster holds 20.4 %")
        Self.expect(try Self.warnings(tenants(1000)))
        // Half of the rows are nobody's; of the others five have a fifth each.
        func some(_ first: String) -> String {
            Self.csv(",tenant") { $0 % 2 == 0 ? "," : $0 < 4 ? ",\(first)" : ",t\($0 % 5)" }
        }
        Self.expect(try Self.warnings(some("t1")), "tenant t1 has 20.2 % of the requests among requests with a tenant")
        Self.expect(try Self.warnings(Self.csv(",tenant") { $0 < 900 ? "," : ",t\($0 % 5)" }))
    }

    @Test func `a tenant with much of the tokens and of the bill`() throws {
        // One row in a hundred has 25 times the tokens: 10 · 250 of 2,500 + 990 · 10.
        let table = Self.csv(",tenant,slm_tokens,llm_tokens,prompt_tokens") {
            $0 % 100 == 0 ? ",whale,250,250,0" : ",t\($0 % 50),10,10,0"
        }
        Self.expect(
            try Self.warnings(table), "tenant whale has 20.2 % of the LLM's tokens: requests of one tenant are not")
        Self.expect(
            try Self.warnings(table) { $0.prices = KnownPairs.prices },
            "tenant whale has 20.2 % of the LLM's bill: requests of one tenant are not", "prices age")
    }

    @Test func `means over groups and over requests`() throws {
        Self.expect(try Self.warnings(Self.csv(",kind") { ",\($0 % 2)" }) { $0.groupBy = "kind" })
        // A group of 30 that both get right; the other of 970: 470/970 and 670/970.
        Self.expect(
            try Self.warnings(Self.csv(",kind") { $0 < 30 ? ",few" : ",many" }) { $0.groupBy = "kind" },
            "accuracy of the SLM, by kind: 0.7423 as the mean over 2 groups (macro), 0.5000 over their requests (micro);",
            "accuracy of the LLM, by kind: 0.8454 as the mean over 2 groups (macro), 0.7000 over their requests (micro);"
        )
        // One of 29 says nothing.
        Self.expect(try Self.warnings(Self.csv(",kind") { $0 < 29 ? ",few" : ",many" }) { $0.groupBy = "kind" })
        // Of 12, of 30 and of 958: (1 + 458/958)/2 and 488/988, (1 + 658/958)/2 and 688/988.
        let three = Self.csv(",kind") { $0 < 12 ? ",few" : $0 < 42 ? ",some" : ",many" }
        Self.expect(
            try Self.warnings(three) { $0.groupBy = "kind" },
            "SLM, by kind: 0.7390 as the mean over 2 groups (macro), 0.4939 over their requests (micro), without a group",
            "LLM, by kind: 0.8434 as the mean over 2 groups (macro), 0.6964 over their requests (micro), without a group"
        )
    }

    @Test func `p* without a solution`() throws {
        // A judge that rejects every right answer and accepts every wrong one leaves what the LLM alone gets right: on
        // this table nothing is the SLM's alone, and all of 500 are right.
        Self.expect(
            try Self.warnings {
                $0.measured = [.init(name: "mine", accuracy: .ratio(8, 10), callRatio: nil)]
            }, "no random router is so good, or so bad (mine)")
        // Without the LLM's errors on the SLM's right answers a perfect judge has 700 of 1,000: the LLM's.
        let perfect: (inout PairOptions) -> Void = {
            $0.judges = [.init(falseAccept: .zero, falseReject: .zero)]
            $0.hasUsualJudges = false
        }
        Self.expect(try Self.warnings(Self.csv(), perfect))
        // The last 100 are the SLM's alone, too: 800 with a perfect judge, the LLM alone 700.
        let apart = Self.csv().replacingOccurrences(ofLast: 100, "0,0", with: "1,0")
        Self.expect(try Self.warnings(apart, perfect), "so bad (cascade 0.00/0.00)")
        // For those of every report nobody asked.
        Self.expect(try Self.warnings(apart))
    }

    @Test func `a threshold that uses one model only`() throws {
        func thresholds(_ thresholds: Double...) throws -> [String] {
            try Self.warnings(Self.csv(",score") { ",\($0)" }) {
                $0.scores = [.init(column: "score", thresholds: thresholds)]
            }
        }
        Self.expect(try thresholds(500), "thresholds are scored on the requests that they are chosen from")
        Self.expect(
            try thresholds(0, 1000), "thresholds are scored", "threshold:score>=0 sends every request to the LLM",
            "threshold:score>=1000 sends no request to the LLM")
        // Chosen and held out: 500 are, which are few.
        Self.expect(
            try Self.warnings(Self.csv(",score") { ",\($0)" }) {
                $0.chosen = [.init(name: "p", column: "score", aim: .share(1))]
                $0.train = TrainSplit(share: 0.5, order: .file)
            }, "500 requests are held out", "p sends no held-out request to the LLM: it is the SLM alone")
    }

    @Test func `bounds are said where they stand`() throws {
        func notes(_ change: (inout PairOptions) -> Void) throws -> [String: String] {
            var options = PairOptions(source: "table")
            options.bootstrap.replicates = 0
            change(&options)
            let sections = try PairAnalysis.report(PairTable(csv: Self.csv().utf8), options).sections
            return Dictionary(uniqueKeysWithValues: sections.map { ($0.name, $0.notes.joined(separator: "; ")) })
        }
        let usual = try notes { _ in }
        for name in ["oracle_router", "cascade"] {
            #expect(usual[name]?.contains("it bounds, it does not predict") == (name == "cascade"))
            #expect(usual[name]?.contains("they bound, they do not predict") == (name == "oracle_router"))
        }
        // Without a perfect judge there is none to speak of.
        let erring = try notes { $0.judges = [.init(falseAccept: .ratio(1, 10), falseReject: .zero)] }
        #expect(erring["cascade"]?.contains("predict") == false)
    }

    @Test func `nothing that is held out is no small sample`() throws {
        // Every row has a cluster of its own hash, and one cluster alone is in one part whole.
        let one = Self.csv(",score,question") { ",\($0),q" }
        let warnings = try [UInt64](1...8).map { seed in
            try Self.warnings(one) {
                $0.chosen = [.init(name: "p", column: "score", aim: .share(1))]
                $0.cluster = .tag("question")
                $0.train = TrainSplit(share: 0.5, order: .random)
                $0.bootstrap.seed = seed
            }.filter { $0.contains("held out") }
        }
        // Where it is held out there is nothing to choose on, and no threshold.
        #expect(
            warnings.contains(["no request is held out: nothing tells what a chosen threshold does on other requests"]))
        #expect(warnings.contains([]))
        #expect(warnings.allSatisfy { $0.count <= 1 && $0.allSatisfy { !$0.hasPrefix("0 ") } })
    }
}

extension String {
    /// The last lines that are equal to a text, so many of them, replaced.
    fileprivate func replacingOccurrences(ofLast count: Int, _ line: String, with other: String) -> String {
        var lines = split(separator: "\n").map(String.init)
        for index in lines.indices.suffix(count) where lines[index] == line { lines[index] = other }
        return lines.joined(separator: "\n")
    }
}
