import Testing

@testable import Simulator

@Suite struct HullTests {
    @Test func `the hull has the policies that no mixture of others beats`() {
        // (1.5, 0.5) is below its neighbours, (3, 1.0) dearer and worse than (2, 1.1), (1, 0.2) as dear as (1, 1) and
        // worse, (0.5, 0.4) below the line from (0, 0) to (1, 1).
        let places = [(3.0, 1.0), (0, 0), (1.5, 0.5), (1, 1), (2, 1.1), (1, 0.2), (0.5, 0.4)]
        var points = places.map { Plot.Point(x: $0.0, y: $0.1, label: "p") }
        points.append(Plot.Point(x: 0.1, y: 5, low: 0, high: 10))
        let hull = Plot.Series.hull(points)
        #expect(hull.points == [Plot.Point(x: 0, y: 0), Plot.Point(x: 1, y: 1), Plot.Point(x: 2, y: 1.1)])
        #expect(Plot.Series.hull([]).points.isEmpty)
    }
}
