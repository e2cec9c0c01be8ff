import Simulator

@testable import Reports

/// A report written by hand that has every kind of cell, series and text, some of them hostile.
enum ReportFixture {
    static let provenance = Provenance(
        command: "relaygate simulate --traces a&b.jsonl --policy fixed:20 --seed 7", seed: 7,
        versions: [("report format", "1"), ("trace format", "2")])

    static let bounded = Finding.bounded(
        .ratio(40, 100), .ratio(60, 100), .share, reason: "20 of 100 requests had a call cut")

    static var report: Report {
        var report = Report(title: "Cap <n> at \"32\" & see")
        report.coverage = [("requests", "100 of 104"), ("file", "a&b.jsonl")]
        report.exclusions = [.init("no verdict", requests: 3), .init("a segment has no token count", requests: 1)]
        report.warnings = ["A deterministic policy logs nothing about the alternatives: accuracy is bounded."]
        report.definitions = [.init("call ratio, pooled", "Σ LLM tokens / Σ generated tokens <RelayLLM>")]
        report.sections = [table, scatter, bars, steps]
        return report
    }

    static let table = Section(
        name: "policies", title: "Policies", notes: ["Fixed-k models were retrained."],
        table: Table(
            columns: [
                .init("policy", "policy"), .init("requests", "requests"), .init("accuracy", "accuracy", decimals: 4),
                .init("cost", "cost $", decimals: 4),
            ],
            rows: [
                [
                    .text("as logged"), .finding(.exact(.whole(1319), .requests)),
                    .finding(
                        .exact(
                            .ratio(1, 3), .share,
                            interval: Interval(low: .ratio(1, 4), high: .ratio(2, 5), level: 0.95, method: "paired"))),
                    .finding(.exact(.whole(1_350_000_000), .picoDollars)),
                ],
                [
                    .text("=cap_n 32"), .finding(.exact(.whole(1319), .requests)), .finding(bounded),
                    .finding(.unknown(.picoDollars, reason: "the LLM has no price")),
                ],
                [
                    .text("ips"), .none, .finding(.estimated(.real(0.625), .share, estimator: "IPS, ESS 17")),
                    .finding(.unknown(.picoDollars, reason: "the LLM has no price")),
                ],
            ]))

    static let scatter = Section(
        name: "accuracy_against_cost", title: "Accuracy against cost",
        plot: Plot(
            xTitle: "LLM share of generated tokens", yTitle: "accuracy",
            series: [
                .init("random router", .line, [.init(x: 0, y: 0.425), .init(x: 1, y: 0.5412)]),
                .init(
                    "hull", .dashedLine,
                    [
                        .init(x: 0, y: 0.425), .init(x: 0.0107, y: 0.4952), .init(x: 0.0537, y: 0.5117),
                        .init(x: 1, y: 0.5412),
                    ]),
                .init(
                    "policies", .points,
                    [
                        .init(x: 0, y: 0.425, label: "SLM"), .init(x: 1, y: 0.5412, label: "LLM"),
                        .init(x: 0.0107, y: 0.4952, low: 0.478, high: 0.512, label: "as logged"),
                        .init(x: 0.0132, y: 0.4941, label: "fixed 20"), .init(x: 0.0287, y: 0.4956, label: "fixed 100"),
                        .init(x: 0.0537, y: 0.5117, label: "fixed 500"),
                        .init(x: 0.3, y: 0.47, low: 0.44, high: 0.5, label: "cap n 32 <bounded>"),
                    ]),
            ]))

    static let bars = Section(
        name: "call_ratio_by_benchmark", title: "Call ratio by benchmark",
        plot: Plot(
            xTitle: "benchmark", yTitle: "call ratio",
            categories: ["minerva", "math500", "gsm8k", "olympiad", "aime2025", "aime2024"],
            series: [
                .init(
                    "pooled", .bars,
                    [0.0124, 0.0077, 0.0036, 0.0124, 0.015, 0.015].enumerated().map {
                        .init(x: Double($0.offset), y: $0.element)
                    }),
                .init(
                    "mean of ratios", .bars,
                    [0.011, 0.007, 0.0031, 0.0135, 0.017, 0.014].enumerated().map {
                        .init(x: Double($0.offset), y: $0.element, low: $0.element * 0.8, high: $0.element * 1.2)
                    }),
            ]))

    static let steps = Section(
        name: "budget_burn_down", title: "Budget burn-down",
        plot: Plot(
            xTitle: "hours from the first request", yTitle: "LLM tokens left",
            series: [
                .init(
                    "acme, 50,000 a day", .steps, (0..<24).map { .init(x: Double($0), y: 50_000 - Double($0) * 1900) }),
                .init(
                    "globex, 25,000 a day", .steps,
                    (0..<24).map { .init(x: Double($0), y: max(0, 25_000 - Double($0 * $0) * 90)) }),
            ]))
}
