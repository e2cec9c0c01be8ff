internal import Accounting

/// A column of usage reports. Every format has these columns, in this order and by these names.
package struct UsageMeasure: Sendable {
    /// What a column holds.
    package enum Value: Sendable, Equatable {
        case count(Int?)
        /// In millionths.
        case share(Int?)
        /// In pico-dollars.
        case dollars(Int128)
        /// In microseconds.
        case latency(Int?)
    }

    /// In CSV and JSON.
    package let name: String
    /// In tables that people read.
    package let title: String
    package let value: @Sendable (UsageSums) -> Value

    package static let all = [
        UsageMeasure(name: "requests", title: "requests") { .count($0.requests) },
        UsageMeasure(name: "degraded", title: "degraded") { .count($0.degraded) },
        UsageMeasure(name: "failed", title: "failed") { .count($0.failed) },
        UsageMeasure(name: "refused", title: "refused") { .count($0.refused) },
        UsageMeasure(name: "calls", title: "calls") { .count($0.calls) },
        UsageMeasure(name: "call_ratio", title: "call ratio") {
            .share(CallRatio.millionths(slmTokens: $0.slmTokens, llmTokens: $0.llmTokens))
        },
        UsageMeasure(name: "slm_tokens", title: "SLM") { .count($0.slmTokens) },
        UsageMeasure(name: "llm_tokens", title: "LLM") { .count($0.llmTokens) },
        UsageMeasure(name: "command_tokens", title: "commands") { .count($0.commandTokens) },
        UsageMeasure(name: "prompt_tokens", title: "prompts") { .count($0.promptTokens) },
        UsageMeasure(name: "cached_tokens", title: "cached") { .count($0.cachedTokens) },
        UsageMeasure(name: "prompts_unknown", title: "unknown") { .count($0.promptsUnknown) },
        UsageMeasure(name: "cost_usd", title: "cost $") { .dollars($0.costPico) },
        UsageMeasure(name: "unpriced_segments", title: "unpriced") { .count($0.unpriced) },
        UsageMeasure(name: "latency_p50_ms", title: "p50 ms") { .latency($0.latencies?.percentile(50)) },
        UsageMeasure(name: "latency_p95_ms", title: "p95 ms") { .latency($0.latencies?.percentile(95)) },
        UsageMeasure(name: "first_token_p50_ms", title: "first p50 ms") { .latency($0.firstTokens?.percentile(50)) },
        UsageMeasure(name: "first_token_p95_ms", title: "first p95 ms") { .latency($0.firstTokens?.percentile(95)) },
    ]
}

extension UsageMeasure.Value {
    /// As a number without separators, as programs read it; nil where there is none.
    package var plain: String? {
        switch self {
        case .count(let count): count.map(String.init)
        case .share(let millionths): millionths.map { FixedPoint.text(Int128($0), places: 6) }
        case .dollars(let pico): Money.fixedDollars(pico: pico)
        case .latency(let microseconds): microseconds.map(UsageMeasure.Value.milliseconds)
        }
    }

    /// Milliseconds with two decimals below ten, then with one.
    private static func milliseconds(_ microseconds: Int) -> String {
        microseconds < 9_995
            ? FixedPoint.text(Int128((microseconds + 5) / 10), places: 2)
            : FixedPoint.text(Int128((microseconds + 50) / 100), places: 1)
    }
}
