internal import Notation

/// Published rows: the accuracy of a system and of its two models alone, and its call ratio where it has one.
package struct SummaryRows: Sendable, Equatable {
    package struct Row: Sendable, Equatable {
        package var system: String
        package var comparison: RouterComparison
    }

    /// Whether accuracies stand in percent, as papers print them, or in shares.
    package let isPercent: Bool
    package let rows: [Row]

    private static let numbers = ["accuracy", "slm_accuracy", "llm_accuracy", "call_ratio"]

    /// Reads CSV with the columns `system`, `accuracy`, `slm_accuracy`, `llm_accuracy` and `call_ratio`; other columns
    /// are not read. Shares from 0 to 1, or percent when the names end in `_percent`. A call ratio may be empty.
    ///
    /// Throws `SimulationError`, which names line and column.
    package init(csv: some Sequence<UInt8>) throws(SimulationError) {
        var records = try PairTable.records(csv)
        guard !records.isEmpty else {
            throw SimulationError(.data, nil, "the file is empty; the first line has to name the columns")
        }
        let header = records.removeFirst().fields
        let suffix = header.contains("accuracy_percent") ? "_percent" : ""
        isPercent = !suffix.isEmpty
        let names = ["system"] + SummaryRows.numbers.map { $0 + suffix }
        if let absent = names.first(where: { !header.contains($0) }) {
            throw SimulationError(
                .data, absent,
                "there is no such column; published rows have \(names.joined(separator: ", ")), the file has "
                    + header.joined(separator: ", "))
        }
        var rows: [Row] = []
        for record in records {
            guard record.fields.count == header.count else {
                throw SimulationError(
                    .data, nil,
                    "line \(record.line) has \(record.fields.count) fields and the header has \(header.count)")
            }
            let fields = Dictionary(zip(header, record.fields)) { first, _ in first }
            rows.append(try SummaryRows.row(fields, line: record.line, suffix: suffix))
        }
        guard !rows.isEmpty else { throw SimulationError(.data, nil, "the file has no rows below its header") }
        self.rows = rows
    }

    private static func row(
        _ fields: [String: String], line: Int, suffix: String
    ) throws(SimulationError) -> Row {
        let limit = Number.whole(suffix.isEmpty ? 1 : 100)
        var values: [Number?] = []
        for name in numbers {
            let text = fields[name + suffix] ?? ""
            if text.isEmpty, name == "call_ratio" {
                values.append(nil)
                continue
            }
            guard let value = Decimals.number(text), value >= .zero, value <= limit else {
                throw SimulationError(
                    .data, name + suffix,
                    "line \(line): \"\(text.prefix(40))\" is no number from 0 to \(Decimals.text(limit, decimals: 0))")
            }
            values.append(value)
        }
        let ratio = values[3].flatMap { $0.divided(by: limit) }
        return Row(
            system: fields["system"] ?? "",
            comparison: RouterComparison(
                accuracy: values[0] ?? .zero, slm: values[1] ?? .zero, llm: values[2] ?? .zero, llmShare: ratio))
    }

    /// Each system beside the resource-equivalent and the performance-matched random router.
    package func report(source: String) -> Report {
        var report = Report(title: "Published systems beside random routers")
        report.coverage = [
            (name: "source", value: source), (name: "rows", value: String(rows.count)),
            (name: "intervals", value: "need answers; published rows have none"),
        ]
        report.definitions = [
            Report.Definition("call ratio", "as published; the paper's is LLM-generated tokens / all generated tokens"),
            MetricDefinitions.randomRouter, MetricDefinitions.resourceEquivalent, MetricDefinitions.matched,
            MetricDefinitions.reduction,
        ]
        report.warnings = [
            "matched: what the call ratio counts; it is not money, and a share of tokens is a share of requests only "
                + "when both models' answers are equally long",
            "p* above the LLM or below the SLM is a result: no random router is so good, or so bad",
        ]
        let unit: Unit = isPercent ? .percentagePoints : .share
        let points = rows.compactMap { row in
            row.comparison.llmShare.map { Plot.Point($0, row.comparison.accuracy, label: row.system) }
        }
        let random = rows.compactMap { row in
            row.comparison.llmShare.flatMap { share in
                row.comparison.resourceEquivalent.map { Plot.Point(share, $0, label: row.system) }
            }
        }
        report.sections = [
            Section(
                name: "systems", title: "Systems",
                table: Table(
                    columns: [Table.Column("system", "system"), Table.Column("call_ratio", "call ratio", decimals: 6)]
                        + RouterComparison.columns(accuracyDecimals: isPercent ? 2 : 4),
                    rows: rows.map { row in
                        [.text(row.system), .exact(row.comparison.llmShare, .share)] + row.comparison.cells(unit: unit)
                    }),
                plot: points.isEmpty
                    ? nil
                    : Plot(
                        xTitle: "call ratio", yTitle: isPercent ? "accuracy, %" : "accuracy",
                        series: [
                            Plot.Series("systems", .points, points),
                            Plot.Series("random router at the same call ratio", .points, random),
                        ]))
        ]
        return report
    }
}
