import Simulator
import Testing

@testable import Reports

@Suite struct PlotTests {
    @Test func `ticks are round and enclose the data`() {
        let scale = PlotScale([0.425, 0.5412], includesZero: false, count: 6, start: 400, end: 0)
        // 0.1162 / 6 is 0.019: steps of 0.02, from 0.42 to 0.56.
        #expect(scale.ticks.map(scale.label) == ["0.42", "0.44", "0.46", "0.48", "0.50", "0.52", "0.54", "0.56"])
        #expect(scale.place(0.42) == 400)
        #expect(abs(scale.place(0.49) - 200) < 0.001)
        // From 3 to 10 it begins at zero; steps of 2 for about five.
        let counts = PlotScale([3, 10], includesZero: false, count: 5, start: 0, end: 100)
        #expect(counts.ticks.map(counts.label) == ["0", "2", "4", "6", "8", "10"])
        let many = PlotScale([0, 50_000], includesZero: true, count: 5, start: 0, end: 100)
        #expect(many.ticks.map(many.label) == ["0", "10,000", "20,000", "30,000", "40,000", "50,000"])
    }

    @Test(
        arguments: [
            [], [5], [0], [-3, -3], [.nan, 1], [Double.infinity, -Double.infinity], [1e300, -1e300], [1e-300, 2e-300],
        ] as [[Double]])
    func `no data break an axis`(_ values: [Double]) {
        let scale = PlotScale(values, includesZero: false, count: 6, start: 0, end: 100)
        #expect(scale.low < scale.high)
        #expect((2...64).contains(scale.ticks.count))
        for value in values + [.nan, .infinity, 0] { #expect((0...100).contains(scale.place(value))) }
    }

    @Test func `names cover neither one another nor the points`() {
        let area = PlotBox(x: 0, y: 0, width: 600, height: 300)
        // Twelve points on a line, 14 pixels apart: there is no room for their names beside them.
        let points = (0..<12).map { (x: 200 + Double($0) * 14, y: 150 + Double($0) * 3) }
        var labels = PlotLabels(
            area: area, obstacles: points.map { PlotBox(x: $0.x - 6, y: $0.y - 6, width: 12, height: 12) })
        for (index, point) in points.enumerated() { labels.place("policy \(index)", x: point.x, y: point.y) }
        #expect(labels.labels.count == 12)
        for (index, label) in labels.labels.enumerated() {
            #expect(area.contains(label.box))
            for other in labels.labels[(index + 1)...] {
                #expect(label.box.overlap(other.box) == 0, "\(label) \(other)")
            }
        }
    }

    @Test func `a name that is as near to another point has a line to its own`() throws {
        // The published ones: 0.43 % and 1.07 % of the calls are 176 pixels apart, names 120 to 150 wide.
        let points = [(text: "RelayLLM-Simple", x: 238.0, y: 245.0), (text: "RelayLLM-Difficulty", x: 414.0, y: 238.0)]
        var labels = PlotLabels(
            area: PlotBox(x: 0, y: 0, width: 1000, height: 500),
            obstacles: [PlotBox(x: 120, y: 225, width: 880, height: 40)], points: points.map { ($0.x, $0.y) })
        for point in points { labels.place(point.text, x: point.x, y: point.y) }
        #expect(labels.labels.map(\.text) == points.map(\.text))
        for (label, other) in zip(labels.labels, points.reversed()) {
            let isClear = label.box.distance(label.x, label.y) + 6 <= label.box.distance(other.x, other.y)
            #expect(isClear || label.needsLine, "\(label)")
        }
    }

    @Test func `the last step is drawn as wide as the one before it`() {
        let steps = Plot.Series("steps", .steps, [Plot.Point(x: 0, y: 1), Plot.Point(x: 24, y: 0.5)])
        let single = Plot.Series("single", .steps, [Plot.Point(x: 10, y: 0)])
        let plot = Plot(xTitle: "hours", yTitle: "left", series: [steps, single])
        #expect(PlotDrawing.end(of: steps, in: plot) == 48)
        // A step alone is as wide as the narrowest of the others.
        #expect(PlotDrawing.end(of: single, in: plot) == 34)
        let drawing = PlotDrawing(plot, title: "", prefix: "p")
        #expect(drawing.x.high >= 48)
        let end = PlotStyle.pixel(drawing.x.place(48))
        #expect(drawing.svg.contains("H\(end)\""))
    }

    @Test func `empty and broken plots are drawn`() {
        let plots = [
            Plot(xTitle: "x", yTitle: "y", series: []), Plot(xTitle: "x", yTitle: "y", series: [.init("a", .line, [])]),
            Plot(xTitle: "x", yTitle: "y", categories: ["a"], series: [.init("a", .bars, [.init(x: 7, y: -1)])]),
            Plot(
                xTitle: "x", yTitle: "y",
                series: [.init("a", .points, [.init(x: .nan, y: .infinity, low: .nan, high: 1, label: "l")])]),
        ]
        for plot in plots {
            let svg = PlotDrawing(plot, title: "t", prefix: "p").svg
            #expect(!svg.contains("nan") && !svg.contains("inf"), "\(svg)")
        }
    }
}
