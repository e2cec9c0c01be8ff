internal import Accounting
internal import HTTPServer
internal import Wire

/// `GET /v1/usage`: what a tenant has used, asked with its own key.
enum UsageRoute {
    /// What a request for usage asks. Throws `invalid_value` for a parameter that cannot be read, and for one that is
    /// unknown or given twice.
    static func query(_ parameters: [(name: String, value: String)]) throws(WireError) -> UsageQuery {
        var values: [String: String] = [:]
        for (name, value) in parameters {
            guard ["from", "to", "by", "timezone"].contains(name) else {
                throw WireError(
                    .unknownParameter, "The parameter '\(name.prefix(40))' is unknown; use from, to, by, timezone.",
                    param: name)
            }
            guard values.updateValue(value, forKey: name) == nil else {
                throw WireError(.duplicateParameter, "'\(name)' is given twice. Give it once.", param: name)
            }
        }
        do throws(UsageProblem) {
            let zone = values["timezone"] ?? "UTC"
            try UsageQuery.checkZone(zone, parameter: "timezone")
            let dimensions = try UsageDimension.list(values["by"] ?? "day", parameter: "by", allowed: isAllowed)
            var query = UsageQuery(dimensions: dimensions, zone: zone)
            if let text = values["from"] { query.from = try UsageMoment(text, parameter: "from") }
            if let text = values["to"] { query.to = try UsageMoment(text, parameter: "to") }
            return query
        } catch {
            throw WireError(.invalidValue, "'\(error.parameter)' \(error.reason).", param: error.parameter)
        }
    }

    /// A tenant is told what it asked for itself, not on which servers its answers were made.
    private static func isAllowed(_ dimension: UsageDimension) -> Bool {
        switch dimension {
        case .day, .hour, .month, .model, .key, .tag: true
        case .tenant, .policy, .role, .upstream, .upstreamModel: false
        }
    }

    /// What an answer that is no report says.
    static func error(_ answer: UsageAnswer) -> WireError {
        switch answer {
        case .report: WireError(.internalError, "The report was taken for an error.")
        case .invalid(let parameter?, let reason):
            WireError(.invalidValue, "'\(parameter)': \(reason).", param: parameter)
        case .invalid(nil, let reason):
            WireError(.invalidValue, "\(reason.prefix(1).uppercased() + reason.dropFirst()).")
        case .busy: .rateLimited("Earlier requests for this tenant's usage are still being answered.")
        case .unavailable: .unavailable("The gateway's database did not answer in time.")
        }
    }
}
