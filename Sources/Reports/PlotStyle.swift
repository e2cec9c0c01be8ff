/// What tells series apart without colour: markers, dashes, fillings. The colours differ in lightness, too.
enum PlotStyle {
    private static let colours = ["#000000", "#a33b00", "#1f5fa8", "#5d7a00", "#7b3294", "#555555"]
    private static let lineDashes = ["", "11 3", "2 2.5", "11 3 2 3"]
    private static let brokenDashes = ["6 4", "1.5 3.5", "6 3 1.5 3", "16 6"]
    private static let markerKinds = 8
    private static let fillings = 6

    static func colour(_ index: Int) -> String { colours[index % colours.count] }

    /// The dashes of a line; `turn` counts the lines of the same kind before it.
    static func dashes(isBroken: Bool, turn: Int) -> String {
        let kinds = isBroken ? brokenDashes : lineDashes
        return kinds[turn % kinds.count]
    }

    /// A marker around a place, without its title.
    static func marker(_ index: Int, x: Double, y: Double, size: Double = 4.5) -> String {
        let colour = colour(index)
        let isHollow = !index.isMultiple(of: 2)
        let paint =
            "stroke=\"\(colour)\" stroke-width=\"1.6\" fill=\"\(isHollow ? "#fff" : colour)\""
        func polygon(_ corners: [(Double, Double)]) -> String {
            let places = corners.map { "\(pixel(x + $0.0 * size)),\(pixel(y + $0.1 * size))" }
            return "<polygon points=\"\(places.joined(separator: " "))\" \(paint)/>"
        }
        switch index % markerKinds {
        case 0, 5: return "<circle cx=\"\(pixel(x))\" cy=\"\(pixel(y))\" r=\"\(pixel(size))\" \(paint)/>"
        case 1, 6: return polygon([(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)])
        case 2, 7: return polygon([(0, -1.2), (1.1, 0.8), (-1.1, 0.8)])
        case 3: return polygon([(0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)])
        default:
            let arms = [(-1.0, -1.0, 1.0, 1.0), (-1, 1, 1, -1)].map { arm in
                "M\(pixel(x + arm.0 * size)) \(pixel(y + arm.1 * size))"
                    + "L\(pixel(x + arm.2 * size)) \(pixel(y + arm.3 * size))"
            }
            return "<path d=\"\(arms.joined())\" stroke=\"\(colour)\" stroke-width=\"2.2\" fill=\"none\"/>"
        }
    }

    /// The patterns that bars are filled with; `prefix` keeps those of one drawing from another's.
    static func patterns(prefix: String, count: Int) -> String {
        let marks = [
            "<rect width=\"8\" height=\"8\" fill=\"#444\"/>",
            "<path d=\"M-2 2L2 -2M0 8L8 0M6 10L10 6\" stroke=\"#a33b00\" stroke-width=\"2\"/>",
            "<circle cx=\"2\" cy=\"2\" r=\"1.3\" fill=\"#1f5fa8\"/><circle cx=\"6\" cy=\"6\" r=\"1.3\" fill=\"#1f5fa8\"/>",
            "<path d=\"M0 2H8M0 6H8\" stroke=\"#5d7a00\" stroke-width=\"1.6\"/>",
            "<path d=\"M0 0L8 8M0 8L8 0\" stroke=\"#7b3294\" stroke-width=\"1.2\"/>", "",
        ]
        return (0..<min(count, fillings)).map { index in
            "<pattern id=\"\(prefix)-fill-\(index)\" width=\"8\" height=\"8\" patternUnits=\"userSpaceOnUse\">"
                + "<rect width=\"8\" height=\"8\" fill=\"#fff\"/>\(marks[index])</pattern>"
        }.joined()
    }

    static func fill(_ index: Int, prefix: String) -> String { "url(#\(prefix)-fill-\(index % fillings))" }

    /// A place with one decimal, which is finer than anybody can see.
    static func pixel(_ value: Double) -> String {
        let tenths = Int((min(max(value, -1e6), 1e6) * 10).rounded())
        let sign = tenths < 0 ? "-" : ""
        let (whole, part) = (tenths.magnitude / 10, tenths.magnitude % 10)
        return part == 0 ? "\(sign)\(whole)" : "\(sign)\(whole).\(part)"
    }
}
