internal import Accounting

extension UsageReport {
    /// What `call_ratio` divides by what, because papers and products differ.
    package static let callRatioDefinition = "llm_tokens/generated_tokens"

    /// The report as one JSON object; `Docs/usage.md` has its members.
    package var json: String {
        var json = JSONText()
        json.object { json in
            json.member("from", from)
            json.member("to", to)
            json.member("timezone", query.zone)
            json.key("by")
            json.array(query.dimensions) { $0.value($1.name) }
            json.key("filters")
            json.object { json in
                for (dimension, names) in query.filters.sorted(by: { $0.key.name < $1.key.name }) {
                    json.key(named: dimension.name)
                    json.array(names) { $0.value($1) }
                }
            }
            json.member("call_ratio_definition", UsageReport.callRatioDefinition)
            json.key("rows")
            json.array(rows) { members(&$0, "group", $1) }
            if let others {
                json.key("others")
                json.object { json in
                    json.member("rows", others.count)
                    measures(&json, others.sums)
                }
            } else {
                json.key("others")
                json.value(nil)
            }
            json.key("totals")
            json.object { measures(&$0, totals) }
        }
        return json.text
    }

    /// One JSON object for each row, for the sum of those left out, and for the totals, which `row` tells apart.
    package var jsonLines: [String] {
        func line(_ kind: String, _ row: UsageRow) -> String {
            var json = JSONText()
            members(&json, kind, row)
            return json.text
        }
        let empty = [String?](repeating: nil, count: query.dimensions.count)
        return rows.map { line("group", $0) }
            + (others.map { [line("others", UsageRow(labels: empty, sums: $0.sums))] } ?? [])
            + [line("total", UsageRow(labels: empty, sums: totals))]
    }

    private func members(_ json: inout JSONText, _ kind: String, _ row: UsageRow) {
        json.object { json in
            json.member("row", kind)
            for (dimension, label) in zip(query.dimensions, row.labels) {
                json.key(named: dimension.name)
                json.value(label)
            }
            measures(&json, row.sums)
            guard hasBudgets else { return }
            json.member("budget", row.budget?.name)
            json.member("budget_used", row.budget?.used)
            json.member("budget_left", row.budget?.left)
        }
    }

    /// Dollars are a text, since readers of JSON turn numbers into binary fractions.
    private func measures(_ json: inout JSONText, _ sums: UsageSums) {
        for measure in UsageMeasure.all {
            json.key(named: measure.name)
            let value = measure.value(sums)
            if case .dollars = value { json.value(value.plain) } else { json.value(number: value.plain) }
        }
    }
}
