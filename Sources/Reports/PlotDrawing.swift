internal import Notation
internal import Simulator

/// A plot as SVG inside a page: no scripts, no fonts or styles from elsewhere, legible without colour.
struct PlotDrawing {
    static let width = 860.0
    private static let height = 400.0
    /// Between the drawing's edge and its area: above, at the right.
    private static let top = 12.0
    private static let right = 22.0

    let plot: Plot
    let title: String
    /// Begins the names of what is referred to, so that several drawings fit on one page.
    let prefix: String
    let area: PlotBox
    let x: PlotScale
    let y: PlotScale
    private let isTurned: Bool
    private let total: Double

    init(_ plot: Plot, title: String, prefix: String) {
        self.plot = plot
        self.title = title
        self.prefix = prefix
        let points = plot.series.flatMap(\.points)
        let hasBars = plot.series.contains { $0.style == .bars }
        let values = points.flatMap { [$0.y, $0.low ?? $0.y, $0.high ?? $0.y] }
        let rough = PlotScale(values, includesZero: hasBars, count: 6, start: 0, end: 1)
        let widest = rough.ticks.map { PlotLabels.width(rough.label($0)) }.max() ?? 0
        let left = 34 + widest
        let inner = PlotDrawing.width - left - PlotDrawing.right
        let longest = plot.categories.map { PlotLabels.width(PlotDrawing.short($0)) }.max() ?? 0
        isTurned = longest + 8 > inner / Double(max(1, plot.categories.count))
        let below = plot.categories.isEmpty ? 44 : isTurned ? 36 + longest * 0.64 : 44
        let legend = PlotDrawing.legendRows(plot.series, width: inner).count
        let start = PlotDrawing.top + Double(legend) * 20 + (legend > 0 ? 8 : 0)
        area = PlotBox(x: left, y: start, width: inner, height: PlotDrawing.height)
        total = start + PlotDrawing.height + below
        y = PlotScale(rough, start: start + PlotDrawing.height, end: start)
        if plot.categories.isEmpty {
            let ends = plot.series.compactMap { PlotDrawing.end(of: $0, in: plot) }
            x = PlotScale(points.map(\.x) + ends, includesZero: false, count: 8, start: left, end: left + inner)
        } else {
            let count = Double(plot.categories.count)
            let slots = PlotScale([0, max(1, count)], includesZero: true, count: 1, start: 0, end: 1)
            // Category k is drawn in the middle of its slot.
            x = PlotScale(
                slots, start: left + inner / count / 2,
                end: left + inner / count / 2 + inner / count * slots.high)
        }
    }

    var svg: String {
        var out = """
            <svg viewBox="0 0 \(PlotStyle.pixel(PlotDrawing.width)) \(PlotStyle.pixel(total))" role="img" \
            aria-labelledby="\(prefix)-title \(prefix)-text" font-size="\(Int(PlotLabels.fontSize))">
            <title id="\(prefix)-title">\(HTMLText.escaped(title))</title>
            <desc id="\(prefix)-text">\(HTMLText.escaped(summary))</desc>

            """
        let bars = plot.series.filter { $0.style == .bars }.count
        if bars > 0 { out += "<defs>\(PlotStyle.patterns(prefix: prefix, count: bars))</defs>\n" }
        out += legend + axes
        for index in plot.series.indices { out += drawn(index) }
        return out + labels + "</svg>\n"
    }

    /// What the drawing shows, for those who do not see it.
    private var summary: String {
        let series = plot.series.map { "\($0.name) (\($0.points.count) values)" }.joined(separator: ", ")
        return "\(plot.yTitle) against \(plot.xTitle). \(series)."
    }

    // MARK: - Legend

    private struct Entry {
        let index: Int
        let x: Double
    }

    private static func legendRows(_ series: [Plot.Series], width: Double) -> [[Entry]] {
        // One series needs no key: the axis names it.
        guard series.count > 1 else { return [] }
        var rows: [[Entry]] = [[]]
        var used = 0.0
        for (index, one) in series.enumerated() {
            let own = 40 + PlotLabels.width(one.name) + 22
            if used + own > width, used > 0 {
                rows.append([])
                used = 0
            }
            rows[rows.count - 1].append(Entry(index: index, x: used))
            used += own
        }
        return rows
    }

    private var legend: String {
        var out = ""
        for (row, entries) in PlotDrawing.legendRows(plot.series, width: area.width).enumerated() {
            let middle = PlotDrawing.top + Double(row) * 20 + 7
            for entry in entries {
                let start = area.x + entry.x
                out += key(entry.index, x: start, y: middle)
                out += text(plot.series[entry.index].name, x: start + 38, y: middle + 4)
            }
        }
        return out
    }

    private func key(_ index: Int, x: Double, y: Double) -> String {
        switch plot.series[index].style {
        case .points: PlotStyle.marker(index, x: x + 16, y: y)
        case .bars:
            "<rect x=\"\(PlotStyle.pixel(x + 2))\" y=\"\(PlotStyle.pixel(y - 6))\" width=\"28\" height=\"12\" "
                + "fill=\"\(PlotStyle.fill(turn(index), prefix: prefix))\" stroke=\"#000\"/>\n"
        case .line, .dashedLine, .steps: path("M\(PlotStyle.pixel(x)) \(PlotStyle.pixel(y))h32", index)
        }
    }

    // MARK: - Axes

    private var axes: String {
        var out = ""
        for tick in y.ticks {
            let place = y.place(tick)
            out += "<path class=\"grid\" d=\"M\(PlotStyle.pixel(area.x)) \(PlotStyle.pixel(place))"
            out += "h\(PlotStyle.pixel(area.width))\"/>\n"
            out += text(y.label(tick), x: area.x - 7, y: place + 4, anchor: "end")
        }
        let bottom = area.y + area.height
        if plot.categories.isEmpty {
            for tick in x.ticks {
                let place = x.place(tick)
                out += "<path class=\"axis\" d=\"M\(PlotStyle.pixel(place)) \(PlotStyle.pixel(bottom))v5\"/>\n"
                out += text(x.label(tick), x: place, y: bottom + 18, anchor: "middle")
            }
        } else {
            for (index, name) in plot.categories.enumerated() { out += category(name, x.place(Double(index)), bottom) }
        }
        out += "<path class=\"axis\" d=\"M\(PlotStyle.pixel(area.x)) \(PlotStyle.pixel(area.y))"
        out += "v\(PlotStyle.pixel(area.height))h\(PlotStyle.pixel(area.width))\"/>\n"
        out += text(plot.xTitle, x: area.x + area.width / 2, y: total - 6, anchor: "middle", isTitle: true)
        let middle = PlotStyle.pixel(area.y + area.height / 2)
        out += "<text class=\"name\" text-anchor=\"middle\" transform=\"translate(14 \(middle)) rotate(-90)\">"
        return out + HTMLText.escaped(plot.yTitle) + "</text>\n"
    }

    private func category(_ name: String, _ place: Double, _ bottom: Double) -> String {
        let (x, y) = (PlotStyle.pixel(place), PlotStyle.pixel(bottom + 18))
        let short = HTMLText.escaped(PlotDrawing.short(name))
        let whole = "<title>\(HTMLText.escaped(name))</title>"
        guard isTurned else { return "<text text-anchor=\"middle\" x=\"\(x)\" y=\"\(y)\">\(whole)\(short)</text>\n" }
        let turned = "translate(\(PlotStyle.pixel(place + 4)) \(PlotStyle.pixel(bottom + 14))) rotate(-40)"
        return "<text text-anchor=\"end\" transform=\"\(turned)\">\(whole)\(short)</text>\n"
    }

    private static func short(_ name: String) -> String { name.count > 24 ? String(name.prefix(23)) + "…" : name }

    func text(
        _ text: String, x: Double, y: Double, anchor: String = "start", isTitle: Bool = false
    ) -> String {
        "<text\(isTitle ? " class=\"name\"" : "") x=\"\(PlotStyle.pixel(x))\" y=\"\(PlotStyle.pixel(y))\""
            + (anchor == "start" ? "" : " text-anchor=\"\(anchor)\"") + ">\(HTMLText.escaped(text))</text>\n"
    }

    /// How many series of the same kind come before this one.
    func turn(_ index: Int) -> Int {
        plot.series[..<index].filter { series in
            switch (series.style, plot.series[index].style) {
            case (.line, .steps), (.steps, .line): true
            case (let one, let other): one == other
            }
        }.count
    }

    func path(_ data: String, _ index: Int) -> String {
        let dashes = PlotStyle.dashes(isBroken: plot.series[index].style == .dashedLine, turn: turn(index))
        return "<path d=\"\(data)\" fill=\"none\" stroke=\"\(PlotStyle.colour(index))\" stroke-width=\"2\""
            + (dashes.isEmpty ? "" : " stroke-dasharray=\"\(dashes)\"") + "/>\n"
    }
}
