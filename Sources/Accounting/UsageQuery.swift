/// What usage can be told apart by.
package enum UsageDimension: Hashable, Sendable {
    case tenant, key, model, policy, role, upstream, upstreamModel, hour, day, month
    /// The value of one of the tags that the tenant has chosen to count.
    case tag(String)

    private static let names: [(String, UsageDimension)] = [
        ("tenant", .tenant), ("key", .key), ("model", .model), ("policy", .policy), ("role", .role),
        ("upstream", .upstream), ("upstream_model", .upstreamModel), ("hour", .hour), ("day", .day), ("month", .month),
    ]

    /// Reads a name such as `tenant`, `upstream_model` or `tag:team`; nil for any other text.
    package init?(_ text: some StringProtocol) {
        if text.hasPrefix("tag:"), text.utf8.count > 4, text.utf8.count <= 260 {
            self = .tag(String(text.dropFirst(4)))
        } else if let known = UsageDimension.names.first(where: { $0.0 == text }) {
            self = known.1
        } else {
            return nil
        }
    }

    /// As it is written in options, columns and SQL.
    package var name: String {
        if case .tag(let key) = self { return "tag:" + key }
        return UsageDimension.names.first { $0.1 == self }?.0 ?? ""
    }

    package var isTime: Bool { self == .hour || self == .day || self == .month }

    /// Reads a list such as `tenant,day`. Throws when a name is unknown or stands there twice.
    package static func list(
        _ text: String, parameter: String, allowed: (UsageDimension) -> Bool = { _ in true }
    ) throws(UsageProblem) -> [UsageDimension] {
        var dimensions: [UsageDimension] = []
        for word in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let dimension = UsageDimension(word), allowed(dimension) else {
                let known = names.filter { allowed($0.1) }.map(\.0) + ["tag:KEY"]
                throw UsageProblem(
                    parameter,
                    "cannot be \"\(word.prefix(40))\"; use \(known.joined(separator: ", ")), with commas between")
            }
            guard !dimensions.contains(dimension) else {
                throw UsageProblem(parameter, "names \"\(word.prefix(40))\" twice; name it once")
            }
            dimensions.append(dimension)
        }
        guard dimensions.count <= 8 else { throw UsageProblem(parameter, "has more than 8 names; use fewer") }
        return dimensions
    }
}

/// What is wrong with a question about usage: completes "--from: …" and "'from' …".
package struct UsageProblem: Error, Sendable, Equatable {
    /// The option's or parameter's name without dashes.
    package let parameter: String
    package let reason: String

    package init(_ parameter: String, _ reason: String) {
        self.parameter = parameter
        self.reason = reason
    }
}

/// A question about usage: from when to when, told apart by what, and of whom.
package struct UsageQuery: Sendable, Equatable {
    package var dimensions: [UsageDimension]
    package var from: UsageMoment
    /// Not included.
    package var to: UsageMoment
    /// A name of the IANA database.
    package var zone: String
    /// Names by dimension; a row fits when it has one of the names of each. Tenants by name, keys by their public id.
    package var filters: [UsageDimension: [String]]

    package init(
        dimensions: [UsageDimension], from: UsageMoment = .ago(0, .month), to: UsageMoment = .ago(-1, .hour),
        zone: String = "UTC", filters: [UsageDimension: [String]] = [:]
    ) {
        self.dimensions = dimensions
        self.from = from
        self.to = to
        self.zone = zone
        self.filters = filters
    }

    /// Whether requests can be counted: one request has segments of both roles and of several upstreams.
    package var knowsRequests: Bool {
        !named.contains { $0 == .role || $0 == .upstream || $0 == .upstreamModel }
    }

    /// Whether refusals can be counted: those are kept by tenant, key, model and hour.
    package var knowsRefusals: Bool {
        knowsRequests
            && !named.contains { dimension in
                if case .tag = dimension { true } else { dimension == .policy }
            }
    }

    private var named: [UsageDimension] { dimensions + filters.keys }

    /// Whether a text has the form of a time zone's name. Not every such name exists; but a text that has not this form
    /// could be read as a rule of POSIX, whose sign is the other way round.
    package static func checkZone(_ name: String, parameter: String) throws(UsageProblem) {
        let isName = name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "/"),
                UInt8(ascii: "_"), UInt8(ascii: "-"):
                true
            default: false
            }
        }
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        let isRegion = isName && parts.count > 1 && !parts.contains("") && name.utf8.count <= 64
        let hours = (0...12).map { "Etc/GMT+\($0)" } + (0...14).map { "Etc/GMT-\($0)" }
        guard name == "UTC" || isRegion || hours.contains(name) else {
            throw UsageProblem(parameter, "must be a time zone's name such as Europe/Berlin, America/New_York or UTC")
        }
    }
}
