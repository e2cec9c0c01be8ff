/// Warnings that reports on pair tables and on traces have in common.
enum ReportWarnings {
    /// Below this many requests a difference of three points is noise.
    static let fewRequests = 1000

    /// One tenant has much of the spend.
    static func largeTenant(_ name: String?, _ share: Number, of what: String, isClustered: Bool) -> String? {
        guard share > TenantSpend.largestShare else { return nil }
        let who = name.map { "tenant \($0)" } ?? "one tenant, or one of \(TenantSpend.limit) random groups of them,"
        let remedy =
            isClustered
            ? "intervals by tenant rest on few tenants"
            : "requests of one tenant are not independent; set cluster to tenant"
        return "\(who) has \(Decimals.text(share * .whole(100), decimals: 1)) % of \(what): \(remedy)"
    }

    /// The mean over groups is another number than the mean over requests.
    ///
    /// - Parameters:
    ///   - groups: an accuracy for each group.
    ///   - micro: the accuracy over all requests.
    static func macro(_ what: String, _ groups: [Number], micro: Number) -> String? {
        guard groups.count > 1, let macro = Number.mean(groups) else { return nil }
        let difference = macro - micro
        guard difference >= .ratio(1, 200) || difference <= .ratio(-1, 200) else { return nil }
        return "\(what): \(Decimals.text(macro, decimals: 4)) as the mean over \(groups.count) groups (macro), "
            + "\(Decimals.text(micro, decimals: 4)) over requests (micro); say which, for gains and p* move with it"
    }

    /// Policies beyond either model.
    static func unmatched(_ policies: [String]) -> String? {
        guard !policies.isEmpty else { return nil }
        return "p* above the LLM or below the SLM is a result: no random router is so good, or so bad ("
            + policies.joined(separator: ", ") + ")"
    }
}

extension PerformanceMatch {
    /// Whether no random router is right as often.
    var hasNoSolution: Bool {
        switch self {
        case .aboveLLM, .belowSLM: true
        case .matched, .undefined: false
        }
    }
}
