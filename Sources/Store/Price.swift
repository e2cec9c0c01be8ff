package import Accounting
internal import Postgres

/// What a model costs, in pico-dollars.
package struct PriceRates: Sendable, Equatable {
    /// A prompt token.
    package var input: Int
    /// A prompt token from the server's cache; nil: as `input`.
    package var cachedInput: Int?
    /// A prompt token that the server wrote to its cache; nil: as `input`.
    package var cacheWrite: Int?
    /// A generated token.
    package var output: Int
    /// Each attempt that was served; nil: nothing.
    package var request: Int?

    package init(input: Int, cachedInput: Int? = nil, cacheWrite: Int? = nil, output: Int, request: Int? = nil) {
        self.input = input
        self.cachedInput = cachedInput
        self.cacheWrite = cacheWrite
        self.output = output
        self.request = request
    }

    /// The most that a token may cost: a million dollars for a million.
    package static let tokenLimit = 1_000_000_000_000
    /// The most that a request may cost: a thousand dollars.
    package static let requestLimit = 1_000_000_000_000_000
}

/// One entry of the price book.
package struct Price: Sendable, Equatable {
    /// The model name that the upstream serves.
    package var model: String
    /// Nil for every upstream that has no price of its own for the model.
    package var upstream: String?
    /// It holds for requests that begin at this time or later, until the next entry of the same model and upstream.
    package var from: Timestamp
    /// Nil: from then on nobody knows what the model costs.
    package var rates: PriceRates?

    package init(model: String, upstream: String?, from: Timestamp, rates: PriceRates?) {
        self.model = model
        self.upstream = upstream
        self.from = from
        self.rates = rates
    }

    init(_ row: PostgresRow) throws(PostgresError) {
        model = try row.text("model")
        let server = try row.text("upstream")
        upstream = server.isEmpty ? nil : server
        from = try row.timestamp("effective_from")
        rates = nil
        if let input = try row.optionalInt("input"), let output = try row.optionalInt("output") {
            rates = PriceRates(
                input: input, cachedInput: try row.optionalInt("cached_input"),
                cacheWrite: try row.optionalInt("cache_write"), output: output,
                request: try row.optionalInt("request"))
        }
    }
}

/// An entry of the price book with its history.
package struct PriceRecord: Sendable, Equatable {
    package let price: Price
    /// When the next entry of the same model and upstream begins; nil while there is none.
    package let until: Timestamp?
    package let actor: String
    package let reason: String
    package let created: Timestamp

    init(_ row: PostgresRow) throws(PostgresError) {
        price = try Price(row)
        until = try row.optionalTimestamp("effective_to")
        actor = try row.text("actor")
        reason = try row.text("reason")
        created = try row.timestamp("created_at")
    }
}

/// How an entry that somebody wants stands to the book.
package enum PriceFinding: Sendable, Equatable {
    case new
    /// The book has it already, with the same numbers.
    case unchanged
    /// The book has other numbers for this model, upstream and date; nil: it says that there is no price.
    case taken(PriceRates?)
}

/// What the attempts at one model cost, and what they would have cost by another price book.
package struct RepricedUsage: Sendable, Equatable {
    /// Nil for the sum of all.
    package let upstreamModel: String?
    package let upstream: String?
    package let segments: Int
    /// In pico-dollars, as decimal digits: sums may exceed 64 bits. Of the attempts that have a cost.
    package let recorded: String
    /// Attempts whose cost nobody can say.
    package let recordedUnpriced: Int
    package let repriced: String
    package let repricedUnpriced: Int
    /// `repriced` less `recorded`.
    package let difference: String

    init(_ row: PostgresRow) throws(PostgresError) {
        upstreamModel = try row.optionalText("upstream_model")
        upstream = try row.optionalText("upstream")
        segments = try row.int("segments")
        recorded = try row.text("recorded")
        recordedUnpriced = try row.int("recorded_unpriced")
        repriced = try row.text("repriced")
        repricedUnpriced = try row.int("repriced_unpriced")
        difference = try row.text("difference")
    }
}
