internal import Notation
package import Simulator

/// A report as one HTML page that needs nothing from elsewhere: no script, drawings as SVG inside, legible without
/// colour and on paper.
package enum PageReport {
    package static func text(_ report: Report, _ provenance: Provenance) -> String {
        let title = HTMLText.escaped(report.title)
        var body = "<h1>\(title)</h1>\n"
        body += facts(report.coverage, title: "What was used", id: "coverage")
        body += exclusions(report.exclusions)
        for warning in report.warnings {
            body += "<p class=\"warning\"><strong>Note.</strong> \(HTMLText.escaped(warning))</p>\n"
        }
        if report.sections.count > 2 { body += contents(report) }
        for (index, section) in report.sections.enumerated() { body += html(section, index) }
        if !report.definitions.isEmpty {
            body += "<section id=\"definitions\">\n<h2>Definitions</h2>\n<dl>\n"
            for item in report.definitions {
                body += "<dt>\(HTMLText.escaped(item.term))</dt><dd>\(HTMLText.escaped(item.meaning))</dd>\n"
            }
            body += "</dl>\n</section>\n"
        }
        body += "<section id=\"provenance\">\n<h2>Made with</h2>\n"
        body += table(of: provenance.versions + [("seed", String(provenance.seed))])
        body += "<pre>\(HTMLText.escaped(provenance.command))</pre>\n</section>\n"
        // Names come from callers: what turns the direction of letters would turn those behind it, too.
        return PlainText.lines(HTMLText.page(title: report.title, style: style, body: body))
    }

    private static func facts(_ facts: [(name: String, value: String)], title: String, id: String) -> String {
        guard !facts.isEmpty else { return "" }
        return "<section id=\"\(id)\">\n<h2>\(title)</h2>\n" + table(of: facts) + "</section>\n"
    }

    private static func table(of facts: [(name: String, value: String)]) -> String {
        let rows = facts.map { name, value in
            "<tr><th scope=\"row\">\(HTMLText.escaped(name))</th><td>\(HTMLText.escaped(value))</td></tr>\n"
        }
        return "<table class=\"facts\">\n\(rows.joined())</table>\n"
    }

    private static func exclusions(_ exclusions: [Report.Exclusion]) -> String {
        guard !exclusions.isEmpty else { return "" }
        let rows = exclusions.map { exclusion in
            "<tr><td>\(NumberText.grouped(String(exclusion.requests)))</td>"
                + "<td class=\"text\">\(HTMLText.escaped(exclusion.reason))</td></tr>\n"
        }
        return "<section id=\"exclusions\">\n<h2>What was left out</h2>\n<table class=\"exclusions\">\n<thead><tr>"
            + "<th scope=\"col\">requests</th><th scope=\"col\" class=\"text\">reason</th></tr></thead>\n<tbody>\n"
            + rows.joined() + "</tbody>\n</table>\n</section>\n"
    }

    private static func contents(_ report: Report) -> String {
        let links = report.sections.enumerated().map { index, section in
            "<li><a href=\"#\(id(section, index))\">\(HTMLText.escaped(section.title))</a></li>\n"
        }
        return "<nav aria-label=\"Contents\">\n<ul>\n\(links.joined())</ul>\n</nav>\n"
    }

    private static func id(_ section: Section, _ index: Int) -> String {
        "s\(index + 1)-\(HTMLText.escaped(section.name))"
    }

    private static func html(_ section: Section, _ index: Int) -> String {
        let id = id(section, index)
        var out = "<section id=\"\(id)\">\n<h2>\(HTMLText.escaped(section.title))</h2>\n"
        if let plot = section.plot {
            let drawing = PlotDrawing(plot, title: section.title, prefix: "p\(index + 1)")
            out += "<figure>\n\(drawing.svg)</figure>\n"
        }
        if let table = section.table { out += html(table, id) }
        for note in section.notes { out += "<p class=\"note\">\(HTMLText.escaped(note))</p>\n" }
        return out + "</section>\n"
    }

    private static func html(_ table: Table, _ id: String) -> String {
        var writer = CellWriter()
        let rows = table.rows.map { row in
            zip(table.columns, row).map { column, cell in writer.text(cell, decimals: column.decimals) }
        }
        let isText = table.columns.indices.map { column in !rows.allSatisfy { $0[column].isNumber } }
        let head = table.titles.enumerated().map { index, title in
            "<th scope=\"col\"\(isText[index] ? " class=\"text\"" : "")>\(HTMLText.escaped(title))</th>"
        }
        let lines = rows.map { row in
            "<tr>" + row.enumerated().map { index, cell in html(cell, isText[index], id) }.joined() + "</tr>\n"
        }
        var out = "<div class=\"wide\"><table>\n<thead><tr>\(head.joined())</tr></thead>\n<tbody>\n"
        out += lines.joined() + "</tbody>\n</table></div>\n"
        for line in writer.legend { out += "<p class=\"key\">\(HTMLText.escaped(line))</p>\n" }
        if !writer.reasons.isEmpty {
            let items = writer.reasons.enumerated().map { index, reason in
                "<li id=\"\(id)-n\(index + 1)\">\(HTMLText.escaped(reason))</li>\n"
            }
            out += "<ol class=\"reasons\">\n\(items.joined())</ol>\n"
        }
        return out
    }

    private static func html(_ cell: CellText, _ isText: Bool, _ id: String) -> String {
        var out = HTMLText.escaped(cell.body)
        if !cell.tail.isEmpty { out += "<span class=\"interval\">\(HTMLText.escaped(cell.tail))</span>" }
        if let note = cell.note { out += "<sup><a href=\"#\(id)-n\(note)\">\(note)</a></sup>" }
        return "<td\(isText ? " class=\"text\"" : "")>\(out)</td>"
    }

    private static let style = """
        @page { size: A4; margin: 14mm 12mm; }
        body { font: 15px/1.5 "Liberation Sans", Arial, Helvetica, sans-serif; color: #111; background: #fff;
          max-width: 900px; margin: 32px auto; padding: 0 20px; }
        h1 { font-size: 26px; line-height: 1.25; margin: 0 0 16px; }
        h2 { font-size: 18px; margin: 34px 0 10px; padding-top: 10px; border-top: 1px solid #999; break-after: avoid; }
        a { color: #003d80; }
        p { margin: 0 0 8px; }
        table { border-collapse: collapse; font-size: 13px; }
        th, td { padding: 4px 12px 4px 0; text-align: right; vertical-align: top; white-space: nowrap;
          font-variant-numeric: tabular-nums; }
        th:last-child, td:last-child { padding-right: 2px; }
        thead { display: table-header-group; }
        thead th { border-bottom: 2px solid #111; vertical-align: bottom; white-space: normal; min-width: 44px; }
        tbody td { border-bottom: 1px solid #ddd; }
        tr { break-inside: avoid; }
        .text { text-align: left; }
        td.text { white-space: normal; overflow-wrap: break-word; min-width: 90px; }
        .facts th { text-align: left; font-weight: bold; width: 170px; white-space: normal; }
        .facts td { text-align: left; white-space: normal; border: 0; overflow-wrap: anywhere; }
        .facts, .exclusions { width: 100%; }
        .exclusions td:first-child, .exclusions th:first-child { width: 80px; }
        .wide { overflow-x: auto; }
        .interval { color: #444; white-space: nowrap; }
        sup { font-size: 10px; line-height: 0; margin-left: 2px; }
        sup a { text-decoration: none; }
        .warning { border-left: 4px solid #111; padding: 4px 0 4px 12px; margin: 12px 0; }
        .note, .key, .reasons { font-size: 13px; color: #333; }
        .key { margin: 6px 0 0; white-space: pre-wrap; }
        .note { margin: 8px 0 0; }
        .reasons { margin: 8px 0 0; padding-left: 24px; }
        nav ul { columns: 2; margin: 18px 0; padding-left: 20px; }
        nav li { break-inside: avoid; }
        dt { font-weight: bold; margin-top: 8px; }
        dd { margin: 0 0 0 18px; }
        pre { white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid #999; padding: 10px; font-size: 12px; }
        figure { margin: 8px 0 18px; break-inside: avoid; }
        svg { width: 100%; height: auto; display: block; font-family: inherit; }
        svg text { fill: #111; }
        svg .name { font-weight: bold; }
        svg .axis { stroke: #111; stroke-width: 1.2; fill: none; }
        svg .grid { stroke: #d8d8d8; stroke-width: 1; fill: none; }
        svg .lead { stroke: #666; stroke-width: 0.8; fill: none; }
        svg .band { fill: #000; fill-opacity: 0.12; }
        svg .label { paint-order: stroke; stroke: #fff; stroke-width: 3px; stroke-linejoin: round; }
        @media (max-width: 600px) { nav ul { columns: 1; } body { margin: 16px auto; padding: 0 12px; }
          .facts th { width: 110px; } figure { overflow-x: auto; } svg { min-width: 560px; } }
        @media print { body { max-width: none; margin: 0; padding: 0; font-size: 10pt; } nav { display: none; }
          table { font-size: 7.5pt; } .wide { overflow: visible; } h2 { margin-top: 7mm; } th, td { padding-right: 6px; }
          .note, .key, .reasons { font-size: 8pt; } td, th { white-space: normal; } }
        """
}
