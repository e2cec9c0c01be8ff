/// Warnings that reports on pair tables and on traces have in common.
enum ReportWarnings {
    /// Below this many requests a difference of three points is noise.
    static let fewRequests = 1000

    /// One tenant has much of the spend.
    static func largeTenant(_ spend: TenantSpend, isMoney: Bool, of what: String, isClustered: Bool) -> String? {
        guard let (name, share) = spend.largest(isMoney: isMoney), share > TenantSpend.largestShare else { return nil }
        let some = spend.isPartial ? " among requests with a tenant" : ""
        let who = name.map { "tenant \($0)" } ?? "one tenant, or one of \(ClusterTable.limit) random groups of them,"
        let remedy =
            isClustered
            ? "intervals by tenant rest on few tenants"
            : "requests of one tenant are not independent; set cluster to tenant"
        return "\(who) has \(Decimals.text(share * .whole(100), decimals: 1)) % of \(what)\(some): \(remedy)"
    }

    /// One cluster has many of the requests.
    ///
    /// - Parameter isFolded: whether clusters are in random groups, of which the share is.
    static func largeCluster(_ share: Number, by name: String, isFolded: Bool) -> String? {
        guard share > TenantSpend.largestShare else { return nil }
        if share == .one { return "all requests are of one cluster: there are no intervals by \(name)" }
        let who = isFolded ? "one cluster, or one of \(ClusterTable.limit) random groups of them," : "one cluster"
        return
            "\(who) holds \(Decimals.text(share * .whole(100), decimals: 1)) % of the requests; intervals by \(name) "
            + "rest on few clusters"
    }

    /// A group of fewer requests is no group to take a mean over: the smallest published benchmark, AIME, has 30.
    static let smallestGroup = 30

    /// The mean over groups is another number than the mean over requests.
    ///
    /// - Parameter groups: those that are too small are in neither mean.
    static func macro(_ what: String, _ groups: [(accuracy: Number?, requests: Int)]) -> String? {
        let large = groups.compactMap { group in
            group.requests < smallestGroup ? nil : group.accuracy.map { (accuracy: $0, requests: group.requests) }
        }
        let requests = large.reduce(0) { $0 + $1.requests }
        let right = large.reduce(Number.zero) { $0 + $1.accuracy * .whole(Int128($1.requests)) }
        guard large.count > 1, let macro = Number.mean(large.map(\.accuracy)),
            let micro = right.divided(by: .whole(Int128(requests)))
        else { return nil }
        let difference = macro - micro
        guard difference >= .ratio(1, 200) || difference <= .ratio(-1, 200) else { return nil }
        let left = groups.count - large.count
        return "\(what): \(Decimals.text(macro, decimals: 4)) as the mean over \(large.count) groups (macro), "
            + "\(Decimals.text(micro, decimals: 4)) over their requests (micro)"
            + (left > 0 ? ", without \(left == 1 ? "a group" : "\(left) groups") of fewer than \(smallestGroup)" : "")
            + "; say which, for gains and p* move with it"
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
        case .matched, .matchedByLoss, .undefined: false
        }
    }
}
