internal import Notation
internal import Simulator

extension PlotDrawing {
    /// One series, with the intervals of its points.
    func drawn(_ index: Int) -> String {
        let series = plot.series[index]
        switch series.style {
        case .points: return series.points.map { point($0, index) }.joined()
        case .bars: return bars(index)
        case .line, .dashedLine: return band(series) + path(line(series.points), index) + named(series, index)
        case .steps: return path(steps(series), index) + named(series, index)
        }
    }

    /// The names of points, placed when all else is.
    var labels: String {
        var named: [(text: String, x: Double, y: Double)] = []
        for (index, series) in plot.series.enumerated() {
            for point in series.points where point.x.isFinite && point.y.isFinite {
                guard let label = point.label, !label.isEmpty else { continue }
                let (x, y) = place(point, index)
                named.append((label, x, y))
            }
        }
        var placing = PlotLabels(area: area, obstacles: obstacles, points: named.map { ($0.x, $0.y) })
        for (text, x, y) in named { placing.place(text, x: x, y: y) }
        return placing.labels.map { label in
            var out = ""
            if label.needsLine {
                let (x, y) = PlotDrawing.nearest(label.box, x: label.x, y: label.y)
                out += "<path class=\"lead\" d=\"M\(PlotStyle.pixel(label.x)) \(PlotStyle.pixel(label.y))"
                out += "L\(PlotStyle.pixel(x)) \(PlotStyle.pixel(y))\"/>\n"
            }
            // A white edge keeps the letters legible where they cross a line.
            out += "<text class=\"label\" x=\"\(PlotStyle.pixel(label.box.x))\""
            return out + " y=\"\(PlotStyle.pixel(label.box.y + 11))\">\(HTMLText.escaped(label.text))</text>\n"
        }.joined()
    }

    /// What names must not cover: markers, intervals, and lines in short pieces.
    private var obstacles: [PlotBox] {
        var boxes: [PlotBox] = []
        for (index, series) in plot.series.enumerated() {
            var previous: (x: Double, y: Double)?
            for point in series.points where point.x.isFinite && point.y.isFinite {
                let (x, y) = place(point, index)
                boxes.append(PlotBox(x: x - 6, y: y - 6, width: 12, height: 12))
                if let low = point.low, let high = point.high {
                    let top = self.y.place(high)
                    boxes.append(PlotBox(x: x - 4, y: top, width: 8, height: max(1, self.y.place(low) - top)))
                }
                if let previous, series.style != .points, series.style != .bars, boxes.count < 20_000 {
                    let pieces = max(1, min(120, Int(abs(x - previous.x) + abs(y - previous.y)) / 8))
                    for piece in 0..<pieces {
                        let share = Double(piece) / Double(pieces)
                        boxes.append(
                            PlotBox(
                                x: previous.x + (x - previous.x) * share - 3,
                                y: previous.y + (y - previous.y) * share - 3, width: 6, height: 6))
                    }
                }
                previous = (x, y)
            }
        }
        return boxes
    }

    /// Where a point is drawn. Points over categories stand beside one another, as bars do.
    private func place(_ point: Plot.Point, _ index: Int) -> (x: Double, y: Double) {
        (x.place(point.x) + offset(index), y.place(point.y))
    }

    private var slot: Double { area.width / Double(max(1, plot.categories.count)) }

    private func offset(_ index: Int) -> Double {
        guard !plot.categories.isEmpty else { return 0 }
        let style = plot.series[index].style
        let count = Double(plot.series.filter { $0.style == style }.count)
        guard style == .bars || (style == .points && count > 1) else { return 0 }
        return (Double(turn(index)) + 0.5 - count / 2) * barWidth
    }

    private var barWidth: Double {
        let count = max(1, plot.series.filter { $0.style == .bars || $0.style == .points }.count)
        return min(64, slot * 0.78 / Double(count))
    }

    // MARK: - Kinds

    private func point(_ point: Plot.Point, _ index: Int) -> String {
        guard point.x.isFinite, point.y.isFinite else { return "" }
        let (x, y) = place(point, index)
        return "<g>\(tip(point, plot.series[index].name))" + whisker(point, x, PlotStyle.colour(index))
            + PlotStyle.marker(index, x: x, y: y) + "</g>\n"
    }

    /// Points of a line that have a name.
    private func named(_ series: Plot.Series, _ index: Int) -> String {
        series.points.filter { $0.label?.isEmpty == false }.map { point in
            "<g>\(tip(point, series.name))"
                + PlotStyle.marker(index, x: x.place(point.x), y: y.place(point.y), size: 3.5) + "</g>\n"
        }.joined()
    }

    private func bars(_ index: Int) -> String {
        let series = plot.series[index]
        let width = barWidth
        return series.points.filter { $0.x.isFinite && $0.y.isFinite }.map { point in
            let middle = x.place(point.x) + offset(index)
            let (one, other) = (y.place(point.y), y.place(0))
            let bar =
                "<rect x=\"\(PlotStyle.pixel(middle - width / 2))\" y=\"\(PlotStyle.pixel(min(one, other)))\" "
                + "width=\"\(PlotStyle.pixel(width))\" height=\"\(PlotStyle.pixel(abs(one - other)))\" "
                + "fill=\"\(PlotStyle.fill(turn(index), prefix: prefix))\" stroke=\"#000\"/>"
            return "<g>\(tip(point, series.name))\(bar)\(whisker(point, middle, "#000"))</g>\n"
        }.joined()
    }

    /// The area between the ends of a line's intervals.
    private func band(_ series: Plot.Series) -> String {
        let ends = series.points.compactMap { point -> (x: Double, low: Double, high: Double)? in
            guard let low = point.low, let high = point.high else { return nil }
            return (x.place(point.x), y.place(low), y.place(high))
        }
        guard ends.count > 1 else { return "" }
        let above = ends.map { "\(PlotStyle.pixel($0.x)),\(PlotStyle.pixel($0.high))" }
        let below = ends.reversed().map { "\(PlotStyle.pixel($0.x)),\(PlotStyle.pixel($0.low))" }
        return "<polygon class=\"band\" points=\"\((above + below).joined(separator: " "))\"/>\n"
    }

    private func whisker(_ point: Plot.Point, _ x: Double, _ colour: String) -> String {
        guard let low = point.low, let high = point.high, low.isFinite, high.isFinite else { return "" }
        let (top, bottom) = (y.place(high), y.place(low))
        return "<path d=\"M\(PlotStyle.pixel(x)) \(PlotStyle.pixel(top))V\(PlotStyle.pixel(bottom))"
            + "M\(PlotStyle.pixel(x - 4)) \(PlotStyle.pixel(top))h8M\(PlotStyle.pixel(x - 4)) \(PlotStyle.pixel(bottom))h8\""
            + " stroke=\"\(colour)\" stroke-width=\"1.3\" fill=\"none\"/>"
    }

    private func line(_ points: [Plot.Point]) -> String {
        let places = points.filter { $0.x.isFinite && $0.y.isFinite }.map { point in
            "\(PlotStyle.pixel(x.place(point.x))) \(PlotStyle.pixel(y.place(point.y)))"
        }
        return "M" + places.joined(separator: "L")
    }

    /// Where the last step of a series ends: it is as wide as the one before it, or as the narrowest of the plot.
    static func end(of series: Plot.Series, in plot: Plot) -> Double? {
        guard series.style == .steps, let last = series.points.last?.x else { return nil }
        func widths(_ series: Plot.Series) -> [Double] {
            zip(series.points.dropFirst(), series.points).map { $0.x - $1.x }.filter { $0 > 0 }
        }
        let all = plot.series.filter { $0.style == .steps }.flatMap(widths)
        return last + (widths(series).last ?? all.min() ?? 1)
    }

    /// Level until the next point, then up or down to it; the last one level, too.
    private func steps(_ series: Plot.Series) -> String {
        var out = ""
        for point in series.points where point.x.isFinite && point.y.isFinite {
            let (across, down) = (PlotStyle.pixel(x.place(point.x)), PlotStyle.pixel(y.place(point.y)))
            out += out.isEmpty ? "M\(across) \(down)" : "H\(across)V\(down)"
        }
        guard !out.isEmpty, let end = PlotDrawing.end(of: series, in: plot), end.isFinite else { return out }
        return out + "H\(PlotStyle.pixel(x.place(end)))"
    }

    private func tip(_ point: Plot.Point, _ series: String) -> String {
        let across =
            plot.categories.indices.contains(Int(point.x.rounded(.towardZero).clamped))
            ? plot.categories[Int(point.x.clamped)] : number(point.x)
        var text = "\(point.label ?? series): \(across), \(number(point.y))"
        if let low = point.low, let high = point.high { text += " [\(number(low)), \(number(high))]" }
        return "<title>\(HTMLText.escaped(text))</title>"
    }

    private func number(_ value: Double) -> String {
        NumberText.grouped(Decimals.text(.real(value), decimals: abs(value) >= 1000 ? 0 : 4))
    }

    /// The place of a box's edge that is nearest to a point.
    private static func nearest(_ box: PlotBox, x: Double, y: Double) -> (Double, Double) {
        (min(max(x, box.x), box.x + box.width), min(max(y, box.y), box.y + box.height))
    }
}

extension Double {
    /// Within what an index can be, so that no number traps when it becomes one.
    fileprivate var clamped: Double { isNaN ? -1 : Swift.min(Swift.max(self, -1), 1e6) }
}
