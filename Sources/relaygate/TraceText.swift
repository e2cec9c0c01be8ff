internal import Accounting
internal import Store

/// A request and its segments as a person reads them.
enum TraceText {
    static func summary(_ trace: Trace) -> String {
        let request = trace.request
        let generated = request.slmTokens + request.llmTokens
        let took = request.finished.microseconds - request.started.microseconds
        let ratio = generated == 0 ? "-" : percent(request.llmTokens, of: generated)
        var text = """
            request   \(request.id)
            started   \(UTCTime(request.started).text) UTC, took \(milliseconds(took))
            tenant    \(trace.tenantName)
            model     \(request.model), policy \(request.policy)\(request.propensity.map { ", propensity \($0)" } ?? "")
            outcome   \(request.outcome.rawValue), finish \(request.finish)\(request.errorCode.map { ", error \($0)" } ?? "")\
            \(request.degraded.map { ", degraded: \($0)" } ?? "")
            tokens    prompt \(request.promptTokens), SLM \(request.slmTokens), LLM \(request.llmTokens), \
            commands \(request.commandTokens), visible \(request.visibleTokens)
            calls     \(request.calls), call ratio \(ratio) (LLM tokens / all generated tokens)

            """
        if request.malformed > 0 { text += "malformed \(request.malformed)\n" }
        if let cost = cost(trace) { text += "cost      \(cost)\n" }
        if !request.tags.isEmpty {
            text +=
                "tags      \(request.tags.map { Terminal.oneLine("\($0.key)=\($0.value)") }.joined(separator: ", "))\n"
        }
        return text
    }

    /// Nil where nothing has a price.
    private static func cost(_ trace: Trace) -> String? {
        let sum = trace.costs.reduce(Int128(0)) { $0 + Int128($1 ?? 0) }
        let unpriced = trace.costs.count { $0 == nil }
        if sum == 0, unpriced > 0 { return nil }
        return Money.dollars(pico: sum) + " $" + (unpriced > 0 ? " and \(unpriced) unpriced segment(s)" : "")
    }

    /// One row for each attempt.
    static func segments(_ trace: Trace) -> String {
        let hasChoices = trace.request.choices > 1
        var header = [
            "seg", "role", "model", "n asked", "granted", "tokens", "command", "prompt", "cached", "count", "first",
            "took", "finish",
        ]
        if hasChoices { header.insert("choice", at: 0) }
        let rows = trace.request.segments.map { segment in
            var row = [
                segment.attempt > 1 ? "\(segment.sequence).\(segment.attempt)" : "\(segment.sequence)", segment.role,
                segment.model, number(segment.requested), number(segment.granted), "\(segment.generatedTokens)",
                "\(segment.commandTokens)", number(segment.promptTokens), number(segment.cachedTokens), segment.source,
                segment.firstTokenMicroseconds.map(milliseconds) ?? "-", milliseconds(segment.durationMicroseconds),
                segment.finish + (segment.error.map { " (\($0))" } ?? ""),
            ]
            if hasChoices { row.insert("\(segment.choice)", at: 0) }
            return row
        }
        let shift = hasChoices ? 1 : 0
        return Terminal.table(header, rows, right: Set([3, 4, 5, 6, 7, 8, 10, 11].map { $0 + shift }))
    }

    private static func number(_ value: Int?) -> String { value.map(String.init) ?? "-" }

    static func milliseconds(_ microseconds: Int64) -> String {
        microseconds < 10_000 ? "\(microseconds / 1000).\(microseconds / 100 % 10) ms" : "\(microseconds / 1000) ms"
    }

    /// A share in percent with one decimal, rounded half up.
    private static func percent(_ part: Int, of whole: Int) -> String {
        let tenths = (part * 2000 + whole) / (whole * 2)
        return "\(tenths / 10).\(tenths % 10) %"
    }
}
