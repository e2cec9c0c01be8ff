/// A rectangle of a drawing, in pixels.
struct PlotBox: Equatable {
    var x: Double
    var y: Double
    var width: Double
    var height: Double

    func overlap(_ other: PlotBox) -> Double {
        let across = min(x + width, other.x + other.width) - max(x, other.x)
        let down = min(y + height, other.y + other.height) - max(y, other.y)
        return across > 0 && down > 0 ? across * down : 0
    }

    /// From its edge to a point; 0 inside.
    func distance(_ pointX: Double, _ pointY: Double) -> Double {
        let across = max(x - pointX, 0, pointX - x - width)
        let down = max(y - pointY, 0, pointY - y - height)
        return (across * across + down * down).squareRoot()
    }

    func contains(_ other: PlotBox) -> Bool {
        other.x >= x && other.y >= y && other.x + other.width <= x + width && other.y + other.height <= y + height
    }
}

/// Finds places for the names of points, beside them where there is room, so that they cover neither one another nor
/// what is drawn.
struct PlotLabels {
    struct Label: Equatable {
        let text: String
        let box: PlotBox
        /// The point that it names.
        let x: Double
        let y: Double
        /// Whether it is so far off, or so near to another point, that a line has to lead to it.
        let needsLine: Bool
    }

    static let fontSize = 12.0
    /// Names beyond this are left to the tables and the tool tips.
    private static let limit = 60

    private let area: PlotBox
    private let obstacles: [PlotBox]
    private let points: [(x: Double, y: Double)]
    private(set) var labels: [Label] = []

    /// - Parameters:
    ///   - obstacles: what a name should not cover.
    ///   - points: what a name could be taken to belong to.
    init(area: PlotBox, obstacles: [PlotBox], points: [(x: Double, y: Double)] = []) {
        self.area = area
        self.obstacles = obstacles
        self.points = points
    }

    /// About how wide a text is in a sans-serif face.
    static func width(_ text: String, fontSize: Double = PlotLabels.fontSize) -> Double {
        text.unicodeScalars.reduce(0) { sum, scalar in
            let share =
                switch scalar {
                case "i", "l", "j", ".", ",", ":", ";", "'", "|", "!", "I": 0.28
                case "f", "t", "r", "(", ")", " ", "-", "[", "]", "/": 0.35
                case "m", "w", "M", "W", "%", "@": 0.86
                case "A"..."Z": 0.68
                default: 0.56
                }
            return sum + share * fontSize
        }
    }

    /// Puts a name as near to its point as it can be.
    mutating func place(_ text: String, x: Double, y: Double) {
        guard labels.count < PlotLabels.limit else { return }
        let width = PlotLabels.width(text)
        let height = PlotLabels.fontSize + 2
        var best: (cost: Double, label: Label)?
        for (ring, distance) in [9.0, 20, 34, 52, 74, 100].enumerated() {
            for (turn, (across, down)) in PlotLabels.directions.enumerated() {
                let box = PlotBox(
                    x: x + across * distance - width / 2 + across * width / 2,
                    y: y + down * distance - height / 2 + down * height / 4, width: width, height: height)
                guard area.contains(box) else { continue }
                let covered = obstacles.reduce(0) { $0 + $1.overlap(box) }
                // Two names over one another are worse than a name over a line.
                let crossed = labels.reduce(0) { $0 + $1.box.overlap(box) }
                let isDoubtful = isNearOther(box, x, y)
                let cost = covered + crossed * 10 + Double(ring) * 14 + Double(turn) * 0.5 + (isDoubtful ? 30 : 0)
                if cost < best?.cost ?? .infinity {
                    best = (cost, Label(text: text, box: box, x: x, y: y, needsLine: ring > 0 || isDoubtful))
                }
            }
        }
        if let best { labels.append(best.label) }
    }

    /// Whether a reader could take the name for that of another point than (x, y).
    private func isNearOther(_ box: PlotBox, _ x: Double, _ y: Double) -> Bool {
        let own = box.distance(x, y)
        return points.contains { ($0.x != x || $0.y != y) && box.distance($0.x, $0.y) < own + 6 }
    }

    /// Right first, where a reader expects a name.
    private static let directions: [(Double, Double)] = [
        (1, 0), (1, -1), (1, 1), (-1, 0), (-1, -1), (-1, 1), (0, -1), (0, 1),
    ]
}
