package import Accounting

/// What a tenant owes for a month: each line is tokens at one price, and the lines make up the total exactly.
package struct MonthlyStatement: Sendable, Equatable {
    /// What a price has an amount for.
    package enum Kind: String, Sendable, CaseIterable {
        case uncachedInput = "uncached_input"
        case cachedInput = "cached_input"
        case cacheWrite = "cache_write"
        case output
        /// Attempts that a server took up.
        case attempts

        /// In words.
        package var title: String {
            switch self {
            case .uncachedInput: "uncached input tokens"
            case .cachedInput: "cached input tokens"
            case .cacheWrite: "cache write tokens"
            case .output: "output tokens"
            case .attempts: "attempts"
            }
        }
    }

    /// A quantity at a unit price.
    package struct Item: Sendable, Equatable {
        package let kind: Kind
        package let quantity: Int
        /// Pico-dollars for one.
        package let unitPico: Int
        /// Pico-dollars for all.
        package var amountPico: Int128 { Int128(quantity) * Int128(unitPico) }
    }

    /// The public model that was asked for, and who served it in which role.
    package struct Service: Sendable, Equatable {
        package let model: String
        package let role: String
        /// The model's name on its server.
        package let upstreamModel: String
    }

    /// What was served at one price.
    package struct Line: Sendable, Equatable {
        package let service: Service
        package let priceID: Int
        /// The only upstream that the price is for; empty when it is for all of them.
        package let priceUpstream: String
        package let priceFrom: Timestamp
        /// Those that are not zero.
        package let items: [Item]

        package var amountPico: Int128 { items.reduce(0) { $0 + $1.amountPico } }
    }

    /// What was served and has no cost, because it had no price or because its server did not count the prompt.
    package struct Unpriced: Sendable, Equatable {
        package let service: Service
        package let attempts: Int
        /// Attempts of which the server did not say how many prompt tokens it read.
        package let promptsUnknown: Int
        package let uncachedInput: Int
        package let cachedInput: Int
        package let cacheWrite: Int
        package let output: Int
    }

    /// A budget of LLM tokens in the windows that began in the month.
    package struct Budget: Sendable, Equatable {
        package let name: String
        /// The public part of the key that it is for; nil for the whole tenant.
        package let key: String?
        package let window: String
        package let amount: Int
        /// Windows in which there was use.
        package let windows: Int
        package let windowsUsedUp: Int
        package let used: Int
        package let unreconciled: Int
        package let overrun: Int
    }

    package let tenant: String
    package let tenantID: UUID7
    /// Such as `2026-10`.
    package let month: String
    package let zone: String
    /// As the zone's clocks show them, `to` not included.
    package let from: String
    package let to: String
    /// Whether the month had ended when the statement was made.
    package let isOver: Bool
    package let made: Timestamp
    /// `primary` or `replica`.
    package let source: String
    package let requests: Int
    package let lines: [Line]
    package let unpriced: [Unpriced]
    package let budgets: [Budget]

    /// Pico-dollars of all lines.
    package var totalPico: Int128 { lines.reduce(0) { $0 + $1.amountPico } }
    package var pricedAttempts: Int {
        lines.reduce(0) { $0 + ($1.items.first { $0.kind == .attempts }?.quantity ?? 0) }
    }
    package var unpricedAttempts: Int { unpriced.reduce(0) { $0 + $1.attempts } }
}
