import Foundation
import FoundationXML
import Notation
import Simulator
import Testing

@testable import Reports

@Suite struct RenderingTests {
    @Test func `the text of a report lines up numbers and explains marks`() {
        let text = TextReport.text(ReportFixture.report, ReportFixture.provenance, width: 100)
        let expected = """
            Cap <n> at "32" & see
            ═════════════════════

            requests  100 of 104
            file      a&b.jsonl
            left out:
              3  no verdict
              1  a segment has no token count
            ! A deterministic policy logs nothing about the alternatives: accuracy is bounded.

            Policies

            """
        #expect(text.hasPrefix(expected))
        let lines = text.components(separatedBy: "\n")
        let rows = lines.filter { $0.hasPrefix("as logged") || $0.hasPrefix("=cap_n") || $0.hasPrefix("ips") }
        // 1,350,000,000 pico-dollars are 0.00135 dollars; half is rounded away from zero.
        #expect(
            rows == [
                "as logged     1,319            0.3333 (0.2500 … 0.4000)  0.0014",
                "=cap_n 32     1,319  [0.4000, 0.6000] ¹                       ? ²",
                "ips               –           ~0.6250 ³                       ? ²",
            ])
        #expect(text.contains("\n  [a, b] bounded: the truth lies between a and b, both included\n"))
        #expect(text.contains("\n  (a … b) 95 % interval: paired\n"))
        #expect(text.contains("\n  ¹ 20 of 100 requests had a call cut\n  ² the LLM has no price\n  ³ IPS, ESS 17\n"))
        #expect(text.contains("\n  call ratio, pooled  Σ LLM tokens / Σ generated tokens <RelayLLM>\n"))
        #expect(text.hasSuffix("  command        relaygate simulate --traces a&b.jsonl --policy fixed:20 --seed 7\n"))
    }

    @Test func `a number without an upper end is said in its unit, under one reason`() {
        let reason = "what follows was never written"
        var report = Report(title: "t")
        report.sections = [
            Section(
                name: "costs", title: "Costs",
                table: Table(
                    columns: [.init("policy", "policy"), .init("cost", "cost"), .init("tokens", "tokens")],
                    rows: [
                        [
                            .text("a"), .finding(.atLeast(.whole(56_154_700_000), .picoDollars, reason: reason)),
                            .finding(.atLeast(.whole(22_010), .tokens, reason: reason)),
                        ]
                    ]))
        ]
        let provenance = ReportFixture.provenance
        let text = TextReport.text(report, provenance, width: 100)
        // 56,154,700,000 pico-dollars are 0.0561547 dollars.
        #expect(text.contains("\na       ≥ 0.056155 ¹  ≥ 22,010 ¹\n"))
        #expect(text.contains("\n  ≥ a bounded: the truth is a or more; no upper end is known\n  ¹ \(reason)\n"))
        #expect(PageReport.text(report, provenance).contains("≥ 0.056155"))
        #expect(
            JSONReport.text(report, provenance).contains(
                #"{"kind":"bounded","low":"0.0561547","high":null,"unit":"dollars","reason":"\#(reason)"}"#))
        #expect(
            CSVReport.text(report, provenance).contains(
                #""costs",1,"a","cost","bounded",,0.0561547,,"dollars",,,"\#(reason)""#))
    }

    @Test func `a table that is too wide goes on below with its first column`() {
        let table = TextTable(
            header: ["name", "first", "second", "third"],
            rows: [[CellText(body: "row", isNumber: false)] + ["1", "22", "333"].map { CellText(body: $0) }])
        // 4 + 2 + 5 + 2 + 6 = 19 columns hold three.
        #expect(
            table.lines(width: 19) == [
                "name  first  second", "────  ─────  ──────", "row       1      22", "", "name  third", "────  ─────",
                "row     333",
            ])
        #expect(table.lines(width: 26).count == 3)
        // No width is too small for one column beside the first.
        #expect(table.lines(width: 1).count == 11)
    }

    @Test func `what names a row stands in each part of a wide table`() {
        let table = TextTable(
            header: ["system", "on", "first", "second"],
            rows: ["x", "y"].map { name in
                [CellText(body: "a", isNumber: false), CellText(body: name, isNumber: false)]
                    + ["1", "2"].map { CellText(body: $0) }
            })
        // 6 + 2 + 2 = 10 columns of names are half of 20; with the numbers of 5 and 6 they are 17 and 18.
        #expect(
            table.lines(width: 20) == [
                "system  on  first", "──────  ──  ─────", "a       x       1", "a       y       1", "",
                "system  on  second", "──────  ──  ──────", "a       x        2", "a       y        2",
            ])
        // Names that leave no room for numbers stand once.
        #expect(table.lines(width: 19)[5] == "system  second")
    }

    @Test func `what is money says so in its title`() {
        var table = Table(columns: [
            Table.Column("cost", "as recorded"), Table.Column("expected", "expected cost, $"),
            Table.Column("share", "share"),
        ])
        let money = Table.Cell.finding(.exact(.whole(1), .picoDollars))
        table.rows = [[.none, .none, .none], [money, money, .finding(.exact(.whole(1), .share))]]
        #expect(table.titles == ["as recorded, $", "expected cost, $", "share"])
    }

    /// Whoever copies a threshold is to have the same router.
    @Test(arguments: [
        (0.500696, "0.500696"), (67, "67"), (1_234_567, "1234567"), (1e-21, "1e-21"), (-0.25, "-0.25"),
        (0.7150123456789012, "0.7150123456789012"), (1e130, "1e+130"), (.leastNonzeroMagnitude, "5e-324"),
    ])
    func `a score reads back as the same number everywhere`(_ score: Double, _ text: String) throws {
        #expect(Double(text) == score)
        var report = ReportFixture.report
        let table = Table(
            columns: [.init("policy", "policy"), .init("threshold", "threshold")],
            rows: [[.text("p"), .finding(.exact(.real(score), .score))]])
        report.sections = [Section(name: "held_out", title: "Held out", table: table)]
        let lines = TextReport.text(report, ReportFixture.provenance).split(separator: "\n")
        #expect(lines.contains { $0.hasPrefix("p ") && $0.split(separator: " ") == ["p", Substring(text)] })
        let json = JSONReport.text(report, ReportFixture.provenance)
        #expect(json.contains("{\"kind\":\"exact\",\"value\":\"\(text)\",\"unit\":\"score\"}"))
        let csv = CSVReport.text(report, ReportFixture.provenance)
        #expect(csv.contains("\"held_out\",1,\"p\",\"threshold\",\"exact\",\(text),,,\"score\","))
        #expect(PageReport.text(report, ReportFixture.provenance).contains(">\(text)<"))
    }

    @Test func `JSON says numbers exactly, with kind, unit and reason`() throws {
        let text = JSONReport.text(ReportFixture.report, ReportFixture.provenance)
        let root = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        #expect(root["schema"] as? String == "relaygate-report")
        #expect(root["version"] as? Int == 1)
        #expect((root["provenance"] as? [String: Any])?["seed"] as? String == "7")
        let sections = try #require(root["sections"] as? [[String: Any]])
        let rows = try #require(sections[0]["rows"] as? [[Any]])
        let accuracy = try #require(rows[0][2] as? [String: Any])
        #expect(accuracy["value"] as? String == "0.333333333333")
        #expect(accuracy["value_fraction"] as? String == "1/3")
        #expect((accuracy["interval"] as? [String: Any])?["low"] as? String == "0.25")
        #expect(rows[0][3] as? [String: String] == ["kind": "exact", "value": "0.00135", "unit": "dollars"])
        #expect(
            rows[1][2] as? [String: String] == [
                "kind": "bounded", "low": "0.4", "high": "0.6", "unit": "share",
                "reason": "20 of 100 requests had a call cut",
            ])
        #expect(
            rows[1][3] as? [String: String] == [
                "kind": "unknown", "unit": "dollars", "reason": "the LLM has no price",
            ])
        #expect(rows[2][1] is NSNull)
        let plot = try #require(sections[1]["plot"] as? [String: Any])
        #expect((plot["series"] as? [[String: Any]])?.count == 3)
    }

    @Test func `CSV has a line for each cell and nothing that a spreadsheet runs`() throws {
        let text = CSVReport.text(ReportFixture.report, ReportFixture.provenance)
        var reader = CSVRecords()
        let records = try reader.read(Array(text.utf8)).map(\.fields)
        #expect(records[0] == CSVReport.columns)
        #expect(records.allSatisfy { $0.count == 12 })
        let cells = records.filter { $0[0] == "policies" }
        // A note and 3 rows of 4 cells, of which one does not apply.
        #expect(cells.count == 1 + 11)
        #expect(
            cells.contains(["policies", "1", "as logged", "cost", "exact", "0.00135", "", "", "dollars", "", "", ""]))
        #expect(
            cells.contains([
                "policies", "2", "'=cap_n 32", "accuracy", "bounded", "", "0.4", "0.6", "share", "", "",
                "20 of 100 requests had a call cut",
            ]))
        #expect(!text.contains("\"=cap"))
    }

    @Test func `the page needs nothing from elsewhere and escapes what it shows`() {
        let page = PageReport.text(ReportFixture.report, ReportFixture.provenance)
        for word in ["<script", "http:", "https:", "@import", "<img", "<link", "<n>", "<RelayLLM>", "<bounded>", "a&b"]
        {
            #expect(!page.contains(word), "\(word)")
        }
        #expect(page.contains("<h1>Cap &lt;n&gt; at &quot;32&quot; &amp; see</h1>"))
        // Each reference leads somewhere, and no name is given twice.
        let ids = page.matches(of: /\bid="([^"]+)"/).map { String($0.1) }
        #expect(Set(ids).count == ids.count)
        let references = page.matches(of: /href="#([^"]+)"|url\(#([^)]+)\)|aria-labelledby="([^"]+)"/)
        #expect(references.count > 8)
        for match in references {
            for id in (match.1 ?? match.2 ?? match.3 ?? "").split(separator: " ") {
                #expect(ids.contains(String(id)), "\(id)")
            }
        }
        #expect(page.components(separatedBy: "<svg").count == 4)
    }

    @Test func `drawings are well-formed XML`() {
        let report = ReportFixture.report
        for (index, section) in report.sections.enumerated() {
            guard let plot = section.plot else { continue }
            let svg = PlotDrawing(plot, title: section.title, prefix: "p\(index)").svg
            #expect(XMLParser(data: Data(svg.utf8)).parse(), "\(svg)")
        }
    }
}
