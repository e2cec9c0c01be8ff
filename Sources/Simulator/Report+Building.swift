extension Table.Cell {
    /// A number that follows from the data; no cell where there is none.
    static func exact(_ number: Number?, _ unit: Unit, interval: Interval? = nil) -> Table.Cell {
        number.map { .finding(.exact($0, unit, interval: interval)) } ?? .none
    }

    static func exact(_ number: Double?, _ unit: Unit) -> Table.Cell { exact(number.map { Number.real($0) }, unit) }

    /// What requests are sent from; nil sends none.
    static func threshold(_ threshold: Double?) -> Table.Cell {
        threshold.map { .exact(.real($0), .score) } ?? .text("none is sent")
    }

    static func count(_ count: Int, _ unit: Unit) -> Table.Cell { exact(.whole(Int128(count)), unit) }

    /// p* wherever it lies; the case in which it is undefined is a result too.
    static func share(_ match: PerformanceMatch, interval: Interval? = nil) -> Table.Cell {
        match.share.map { .finding(.exact($0, .ratio, interval: interval)) }
            ?? .finding(.unknown(.ratio, reason: "both models are right equally often; every share is as accurate"))
    }

    static func status(_ match: PerformanceMatch) -> Table.Cell {
        switch match {
        case .matched: .text("matched")
        case .matchedByLoss: .text("matched; the LLM is the worse model")
        case .aboveLLM: .text("above the LLM: no solution")
        case .belowSLM: .text("below the SLM: no solution")
        case .undefined: .text("undefined: the models are equal")
        }
    }
}

extension Plot.Point {
    init(_ x: Number, _ y: Number, interval: Interval? = nil, label: String? = nil) {
        self.init(x: x.double, y: y.double, low: interval?.low.double, high: interval?.high.double, label: label)
    }
}

extension Plot.Series {
    init(_ name: String, _ style: Plot.Style, _ curve: QualityCurve) {
        self.init(name, style, curve.points.map { Plot.Point($0.cost, $0.accuracy) })
    }
}

extension RouterComparison {
    static func columns(accuracyDecimals: Int) -> [Table.Column] {
        [
            Table.Column("slm", "SLM", decimals: accuracyDecimals),
            Table.Column("accuracy", "accuracy", decimals: accuracyDecimals),
            Table.Column("llm", "LLM", decimals: accuracyDecimals),
            Table.Column("resource_equivalent", "random at the call ratio", decimals: accuracyDecimals + 4),
            Table.Column("gain", "gain", decimals: accuracyDecimals + 4),
            Table.Column("matched_share", "p*", decimals: 10), Table.Column("status", "case"),
            Table.Column("reduction", "reduction", decimals: 10),
        ]
    }

    /// One for each of `columns`.
    func cells(unit: Unit) -> [Table.Cell] {
        [
            .exact(slm, unit), .exact(accuracy, unit), .exact(llm, unit), .exact(resourceEquivalent, unit),
            .exact(gain, unit), .share(match), .status(match), .exact(reduction, .ratio),
        ]
    }
}
