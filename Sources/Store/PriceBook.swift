package import Accounting
package import Postgres

/// The price book, for the tools: what models cost from which date on. Append-only. *Loop thread.*
package struct PriceBook {
    private let database: any PostgresDatabase

    package init(_ database: any PostgresDatabase) { self.database = database }

    /// Adds one entry.
    ///
    /// Throws `exists` when the book has one of this model, upstream and date, `invalid` for a name or number that is
    /// out of range.
    package func set(_ price: Price, actor: String, reason: String) async throws(StoreError) {
        let finding = try await add([price], actor: actor, reason: reason, isDryRun: false)[0]
        guard finding == .new else {
            throw StoreError(
                .exists,
                "the price of \(quoted(price.model)) at \(price.upstream.map(quoted) ?? "every upstream") from "
                    + "\(price.from.rfc3339) is set already, and prices are never changed, because requests may have "
                    + "cost it; set one from another date")
        }
    }

    /// Adds those entries that the book does not have, unless one of them is taken: then nothing is written. With
    /// `isDryRun` nothing is written either. Returns what was found for each, in their order.
    ///
    /// The entries differ in model, upstream or date. Throws `invalid` for a name or number that is out of range.
    package func add(
        _ prices: [Price], actor: String, reason: String, isDryRun: Bool
    ) async throws(StoreError) -> [PriceFinding] {
        func numbers(_ value: (PriceRates) -> Int?) -> PostgresValue {
            .int8s(prices.map { $0.rates.flatMap(value).map(Int64.init) })
        }
        let rows = try await run(
            PriceBook.addition,
            [
                .texts(prices.map(\.model)), .texts(prices.map { $0.upstream ?? "" }),
                .timestamps(prices.map(\.from)), numbers(\.input), numbers(\.cachedInput), numbers(\.cacheWrite),
                numbers(\.output), numbers(\.request), .text(actor), .text(reason), .bool(isDryRun),
            ])
        return try reading { () throws(PostgresError) in
            try rows.mapRows { (row) throws(PostgresError) in
                switch try row.text("finding") {
                case "new": .new
                case "unchanged": .unchanged
                default: .taken(try Price(row).rates)
                }
            }
        }
    }

    /// All entries, of one model or of all, by model, upstream and date.
    package func list(model: String?) async throws(StoreError) -> [PriceRecord] {
        let rows = try await run(
            """
            SELECT p.*, lead(p.effective_from) OVER (PARTITION BY p.model, p.upstream ORDER BY p.effective_from)
                AS effective_to
            FROM prices p WHERE $1::text IS NULL OR p.model = $1 ORDER BY p.model, p.upstream, p.effective_from
            """, [.text(model)])
        return try reading { () throws(PostgresError) in try rows.mapRows(PriceRecord.init) }
    }

    /// What the requests that began in a time cost, and what they would have cost by `book` alone: by model and
    /// upstream, then the sum. Changes nothing.
    ///
    /// Throws `notFound` for a tenant that never was.
    package func reprice(
        from start: Timestamp, to end: Timestamp, by book: [Price], tenant: String?
    ) async throws(StoreError) -> [RepricedUsage] {
        if let tenant {
            let names = try await Administration(database, now: { Timestamp(microseconds: 0) }).listTenants().map(
                \.name)
            guard names.contains(tenant) else {
                let nearest = nearestName(to: tenant, among: names).map { "; did you mean \(quoted($0))?" } ?? ""
                throw StoreError(.notFound, "no tenant is named \(quoted(tenant))" + nearest)
            }
        }
        let rows = try await run(
            PriceBook.repricing,
            [.timestamp(start), .timestamp(end), .text(PriceBook.json(book)), .text(tenant)])
        return try reading { () throws(PostgresError) in try rows.mapRows(RepricedUsage.init) }
    }

    /// The book as `report.reprice` reads it.
    private static func json(_ book: [Price]) -> String {
        var text = JSONText()
        text.array(book) { text, price in
            text.object { text in
                text.member("model", price.model)
                text.member("upstream", price.upstream)
                text.member("from", price.from.rfc3339)
                text.member("input", (price.rates?.input).map(Money.perMillion))
                text.member("cached_input", (price.rates?.cachedInput).map(Money.perMillion))
                text.member("cache_write", (price.rates?.cacheWrite).map(Money.perMillion))
                text.member("output", (price.rates?.output).map(Money.perMillion))
                text.member("request", (price.rates?.request).map(Money.dollars(pico:)))
            }
        }
        return text.text
    }

    // MARK: Statements

    /// One statement, so one transaction. No price for a request is the same as 0.
    private static let addition: PostgresStatement = """
        WITH wanted AS (
            SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::int8[], $5::int8[], $6::int8[], $7::int8[],
                $8::int8[]) WITH ORDINALITY AS w (model, upstream, effective_from, input, cached_input, cache_write, output,
                request, place)
        ), found AS (
            SELECT w.place, CASE WHEN p.id IS NULL THEN 'new'
                WHEN (w.input, w.cached_input, w.cache_write, w.output, coalesce(w.request, 0)) IS NOT DISTINCT FROM
                    (p.input, p.cached_input, p.cache_write, p.output, coalesce(p.request, 0)) THEN 'unchanged'
                ELSE 'taken' END AS finding, p.*
            FROM wanted w LEFT JOIN prices p USING (model, upstream, effective_from)
        ), added AS (
            INSERT INTO prices (model, upstream, effective_from, input, cached_input, cache_write, output, request, actor,
                reason)
            SELECT w.model, w.upstream, w.effective_from, w.input, w.cached_input, w.cache_write, w.output, w.request, $9, $10
            FROM wanted w JOIN found f USING (place)
            WHERE f.finding = 'new' AND NOT $11 AND NOT EXISTS (SELECT FROM found WHERE finding = 'taken')
            ORDER BY w.place
        )
        SELECT finding, coalesce(model, '') AS model, coalesce(upstream, '') AS upstream,
            coalesce(effective_from, '-infinity') AS effective_from, input, cached_input, cache_write, output, request
        FROM found ORDER BY place
        """

    private static let repricing: PostgresStatement = """
        WITH r AS MATERIALIZED (SELECT * FROM report.reprice($1, $2, $3::text::jsonb, $4)), s AS (
            SELECT upstream_model, upstream, segments, recorded_dollars, recorded_unpriced, repriced_dollars,
                repriced_unpriced, 1 AS place
            FROM r
            UNION ALL
            SELECT NULL, NULL, coalesce(sum(segments), 0)::int8, coalesce(sum(recorded_dollars), 0),
                coalesce(sum(recorded_unpriced), 0)::int8, coalesce(sum(repriced_dollars), 0),
                coalesce(sum(repriced_unpriced), 0)::int8, 2
            FROM r)
        SELECT upstream_model, upstream, segments, recorded_unpriced, repriced_unpriced,
            trunc(recorded_dollars * 1000000000000)::text AS recorded,
            trunc(repriced_dollars * 1000000000000)::text AS repriced,
            trunc((repriced_dollars - recorded_dollars) * 1000000000000)::text AS difference
        FROM s ORDER BY place, upstream_model, upstream
        """

    private func run(
        _ statement: PostgresStatement, _ binds: [PostgresValue]
    ) async throws(StoreError) -> PostgresRows {
        do {
            return try await database.query(statement, binds)
        } catch {
            switch error.sqlState {
            case "23505", "40001", "40P01":
                throw StoreError(.unavailable, "somebody else set such a price just now; try again")
            case "23514", "22021", "22001", "22008":
                throw StoreError(
                    .invalid,
                    "a model has 1 to 256 characters and an upstream up to 256, a token costs up to 1000000 dollars for a "
                        + "million and a request up to 1000, an actor has up to 200 and a reason up to 2,000 characters"
                )
            default: throw StoreError(error)
            }
        }
    }
}
