package import Simulator
internal import Wire

/// A report for programs. Docs/simulate.md describes the members; `version` is raised when one of them is taken away or
/// changes its meaning.
package enum JSONReport {
    /// The version of the format.
    package static let version = 1

    /// One document with a line break at its end; each row of a table is a line.
    package static func text(_ report: Report, _ provenance: Provenance) -> String {
        var out = "{\"schema\":\"relaygate-report\",\"version\":\(version),\n"
        out += "\"title\":\(string(report.title)),\n"
        out += "\"provenance\":{\"command\":\(string(provenance.command)),\"seed\":\"\(provenance.seed)\",\"versions\":"
        out += pairs(provenance.versions) + "},\n"
        out += "\"coverage\":" + pairs(report.coverage) + ",\n"
        let exclusions = report.exclusions.map { "{\"reason\":\(string($0.reason)),\"requests\":\($0.requests)}" }
        out += "\"exclusions\":" + list(exclusions) + ",\n"
        out += "\"warnings\":" + list(report.warnings.map(string)) + ",\n"
        let definitions = report.definitions.map { "{\"term\":\(string($0.term)),\"meaning\":\(string($0.meaning))}" }
        out += "\"definitions\":" + list(definitions) + ",\n"
        out += "\"sections\":" + list(report.sections.map(section)) + "}\n"
        return out
    }

    private static func section(_ section: Section) -> String {
        var out = "{\"name\":\(string(section.name)),\"title\":\(string(section.title)),"
        out += "\"notes\":" + list(section.notes.map(string))
        if let table = section.table {
            let columns = table.columns.map { column in
                "{\"name\":\(string(column.name)),\"title\":\(string(column.title)),"
                    + "\"decimals\":\(column.decimals.map(String.init) ?? "null")}"
            }
            out += ",\n\"columns\":" + list(columns)
            out += ",\n\"rows\":" + list(table.rows.map { "[" + $0.map(cell).joined(separator: ",") + "]" })
        }
        if let plot = section.plot { out += ",\n\"plot\":" + Self.plot(plot) }
        return out + "}"
    }

    private static func cell(_ cell: Table.Cell) -> String {
        switch cell {
        case .none: "null"
        case .text(let text): "{\"text\":\(string(text))}"
        case .finding(let finding): Self.finding(finding)
        }
    }

    private static func finding(_ finding: Finding) -> String {
        let unit = finding.unit
        func member(_ name: String, _ number: Number) -> String {
            ",\"\(name)\":\"\(NumberText.precise(number, unit))\""
                + (NumberText.fraction(number, unit).map { ",\"\(name)_fraction\":\"\($0)\"" } ?? "")
        }
        var out: String
        switch finding.knowledge {
        case .exact(let number): out = "{\"kind\":\"exact\"" + member("value", number)
        case .bounded(let low, let high): out = "{\"kind\":\"bounded\"" + member("low", low) + member("high", high)
        case .atLeast(let low): out = "{\"kind\":\"bounded\"" + member("low", low) + ",\"high\":null"
        case .estimated(let number): out = "{\"kind\":\"estimated\"" + member("value", number)
        case .unknown: out = "{\"kind\":\"unknown\""
        }
        out += ",\"unit\":\"\(NumberText.name(unit))\""
        if let reason = finding.reason { out += ",\"reason\":\(string(reason))" }
        if let interval = finding.interval {
            out += ",\"interval\":{\"level\":\"\(NumberText.precise(.real(interval.level), .share))\""
            out += member("low", interval.low) + member("high", interval.high)
            out += ",\"method\":\(string(interval.method))}"
        }
        return out + "}"
    }

    private static func plot(_ plot: Plot) -> String {
        let series = plot.series.map { series in
            let points = series.points.map { point in
                var out = "{\"x\":\(number(point.x)),\"y\":\(number(point.y))"
                if let low = point.low { out += ",\"low\":\(number(low))" }
                if let high = point.high { out += ",\"high\":\(number(high))" }
                if let label = point.label { out += ",\"label\":\(string(label))" }
                return out + "}"
            }
            return "{\"name\":\(string(series.name)),\"style\":\"\(series.style.rawValue)\",\"points\":"
                + "[" + points.joined(separator: ",") + "]}"
        }
        return "{\"x_title\":\(string(plot.xTitle)),\"y_title\":\(string(plot.yTitle)),"
            + "\"categories\":[\(plot.categories.map(string).joined(separator: ","))],\"series\":" + list(series) + "}"
    }

    /// JSON has no infinities.
    private static func number(_ value: Double) -> String { value.isFinite ? "\(value)" : "null" }

    private static func pairs(_ pairs: [(name: String, value: String)]) -> String {
        list(pairs.map { "{\"name\":\(string($0.name)),\"value\":\(string($0.value))}" })
    }

    private static func list(_ items: [String]) -> String {
        items.isEmpty ? "[]" : "[\n" + items.joined(separator: ",\n") + "]"
    }

    private static func string(_ text: String) -> String {
        var bytes: [UInt8] = []
        bytes.append(jsonString: text)
        return String(decoding: bytes, as: UTF8.self)
    }
}
