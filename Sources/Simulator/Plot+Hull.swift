extension Plot.Series {
    /// The non-decreasing concave hull of points: the best accuracy for each cost that time sharing of two of them can
    /// reach. Points that are only bounded have no place on it.
    static func hull(_ points: [Plot.Point]) -> Plot.Series {
        let known = points.filter { $0.low == nil && $0.x.isFinite && $0.y.isFinite }
            .sorted { ($0.x, -$0.y) < ($1.x, -$1.y) }
        var hull: [Plot.Point] = []
        for point in known {
            // What costs as much or more has to be right more often.
            guard point.y > hull.last?.y ?? -.infinity else { continue }
            while hull.count > 1, isBelow(hull[hull.count - 1], from: hull[hull.count - 2], to: point) {
                hull.removeLast()
            }
            hull.append(Plot.Point(x: point.x, y: point.y))
        }
        return Plot.Series("hull", .line, hull)
    }

    /// Whether a point lies on or below the line between two others.
    private static func isBelow(_ point: Plot.Point, from start: Plot.Point, to end: Plot.Point) -> Bool {
        (end.x - start.x) * (point.y - start.y) <= (point.x - start.x) * (end.y - start.y)
    }
}
