import TestSupport
import Testing

/// `price_spans` and `cost_of`, from which the ledger has its costs: which price holds, and what an attempt costs.
@Suite struct PriceFunctionTests {
    let database: MeteredDatabase

    init() async throws { database = try await MeteredDatabase() }

    private func price(
        _ model: String = "m", _ upstream: String = "", from date: String, input: Int?, output: Int? = nil
    ) throws {
        func text(_ value: Int?) -> String { value.map(String.init) ?? "NULL" }
        try database.sql(
            """
            INSERT INTO prices (model, upstream, effective_from, input, output, actor, reason)
            VALUES ('\(model)', '\(upstream)', '\(date)', \(text(input)), \(text(output ?? input)), 'tester', '')
            """)
    }

    /// What the ledger's statement does: the spans of a model at an upstream, of them the one that holds the moment.
    private static func span(_ model: String, _ upstream: String, at moment: String) -> String {
        "price_spans(ARRAY['\(model)'], ARRAY['\(upstream)']) p WHERE p.since <= '\(moment)' AND p.until > '\(moment)'"
    }

    /// The input price that holds; empty when there is none.
    private func held(_ model: String = "m", _ upstream: String = "u", at moment: String) throws -> String {
        try database.sql(
            "SELECT coalesce(p.input::text, 'unpriced') FROM \(Self.span(model, upstream, at: moment))")
    }

    /// What an attempt costs by that price; `tokens` are prompt, cached, written, generated.
    private func cost(_ tokens: String, at moment: String) throws -> String {
        try database.sql(
            """
            SELECT coalesce(cost_of(p.input, p.cached_input, p.cache_write, p.output, p.request, \(tokens))::text, 'NULL')
            FROM \(Self.span("m", "u", at: moment))
            """)
    }

    @Test func `the latest price that has begun holds`() throws {
        try price(from: "2026-01-01Z", input: 1)
        try price(from: "2026-03-01Z", input: 3)
        try price(from: "2026-02-01Z", input: 2)
        #expect(try held(at: "2025-12-31 23:59:59.999999Z") == "")
        // It holds from its own moment on, to the microsecond.
        #expect(try held(at: "2026-01-01 00:00:00Z") == "1")
        #expect(try held(at: "2026-01-31 23:59:59.999999Z") == "1")
        #expect(try held(at: "2026-02-01 00:00:00Z") == "2")
        #expect(try held(at: "2026-02-28 23:59:59.999999Z") == "2")
        #expect(try held(at: "2099-01-01Z") == "3")
        #expect(try held("another", at: "2099-01-01Z") == "")
    }

    @Test func `an upstream's own price comes before the general one, also when it is older`() throws {
        try price(from: "2026-01-01Z", input: 1)
        try price("m", "u", from: "2026-02-01Z", input: 20)
        try price(from: "2026-03-01Z", input: 3)
        #expect(try held(at: "2026-01-31Z") == "1")
        #expect(try held(at: "2026-02-01Z") == "20")
        #expect(try held(at: "2026-03-01Z") == "20")
        #expect(try held("m", "elsewhere", at: "2026-02-01Z") == "1")
        #expect(try held("m", "elsewhere", at: "2026-03-01Z") == "3")
    }

    @Test func `several models at several upstreams have their spans each`() throws {
        try price("m", from: "2026-01-01Z", input: 1)
        try price("m", "u", from: "2026-02-01Z", input: 20)
        try price("n", from: "2026-03-01Z", input: 300)
        let spans = try database.sql(
            """
            SELECT model, upstream, input, to_char(since AT TIME ZONE 'UTC', 'MM'), CASE WHEN until < 'infinity'
                THEN to_char(until AT TIME ZONE 'UTC', 'MM') ELSE '-' END
            FROM price_spans(ARRAY['m', 'm', 'n', 'm', 'o'], ARRAY['u', 'v', 'u', 'u', 'u']) ORDER BY 1, 2, 4
            """)
        // A pair that is named twice has its spans once; o has no price.
        #expect(spans == "m|u|1|01|02\nm|u|20|02|-\nm|v|1|01|-\nn|u|300|03|-")
    }

    @Test func `from a date on a model can be unpriced, and at one upstream alone`() throws {
        try price(from: "2026-01-01Z", input: 1)
        try price("m", "u", from: "2026-02-01Z", input: nil)
        try price(from: "2026-03-01Z", input: nil)
        try price(from: "2026-04-01Z", input: 4)
        #expect(try held(at: "2026-01-15Z") == "1")
        #expect(try held(at: "2026-02-01Z") == "unpriced")
        #expect(try held("m", "elsewhere", at: "2026-02-01Z") == "1")
        #expect(try held("m", "elsewhere", at: "2026-03-01Z") == "unpriced")
        #expect(try held("m", "elsewhere", at: "2026-04-01Z") == "4")
        #expect(try held(at: "2026-04-01Z") == "unpriced")
        #expect(try cost("10, 0, 0, 1", at: "2026-05-01Z") == "NULL")
    }

    /// Prices in the order input, cached input, cache write, output, request; tokens as prompt, cached, written,
    /// generated.
    @Test(arguments: [
        // 100 * 3 + 7 * 11.
        ("3, NULL, NULL, 11, NULL", "100, NULL, NULL, 7", "377"),
        // Cached and written tokens at the price of input: the same 100 * 3 + 77.
        ("3, NULL, NULL, 11, NULL", "100, 20, 10, 7", "377"),
        // (100 - 20 - 10) * 3 + 20 * 1 + 10 * 5 + 7 * 11 = 210 + 20 + 50 + 77.
        ("3, 1, 5, 11, NULL", "100, 20, 10, 7", "357"),
        // And 1000 for the request.
        ("3, 1, 5, 11, 1000", "100, 20, 10, 7", "1357"),
        // (100 - 20) * 3 + 20 * 1 + 77, nothing said of what was written.
        ("3, 1, 5, 11, NULL", "100, 20, NULL, 7", "337"),
        // Cached input for nothing: 80 * 3 + 77.
        ("3, 0, NULL, 11, NULL", "100, 20, NULL, 7", "317"),
        // More cached than read is a server's mistake; the rest of the prompt is not negative: 30 * 1 + 77.
        ("3, 1, NULL, 11, NULL", "20, 30, NULL, 7", "107"),
        // Nobody counted the prompt, and it costs something.
        ("3, NULL, NULL, 11, NULL", "NULL, NULL, NULL, 7", "NULL"),
        ("0, 1, NULL, 11, NULL", "NULL, NULL, NULL, 7", "NULL"),
        ("0, NULL, 1, 11, NULL", "NULL, NULL, NULL, 7", "NULL"),
        // Nobody counted the prompt, and it is free: 77, and 1000 for the request.
        ("0, NULL, NULL, 11, NULL", "NULL, NULL, NULL, 7", "77"),
        ("0, 0, 0, 11, 1000", "NULL, NULL, NULL, 7", "1077"),
        // A model that is free is priced.
        ("0, NULL, NULL, 0, NULL", "100, NULL, NULL, 7", "0"),
        // A prompt that was read and not answered is served.
        ("3, NULL, NULL, 11, 1000", "100, NULL, NULL, 0", "1300"),
        // Neither count nor text: not served, so nothing, even without a price.
        ("3, NULL, NULL, 11, 1000", "NULL, NULL, NULL, 0", "0"),
        ("NULL, NULL, NULL, NULL, NULL", "NULL, NULL, NULL, 0", "0"),
        // No price.
        ("NULL, NULL, NULL, NULL, NULL", "100, NULL, NULL, 7", "NULL"),
        ("NULL, NULL, NULL, NULL, NULL", "100, NULL, NULL, 0", "NULL"),
        // 9,000,000 * 10^12 = 9 * 10^18 is the most; one token more is beyond it.
        ("1000000000000, NULL, NULL, 0, NULL", "9000000, NULL, NULL, 0", "9000000000000000000"),
        ("1000000000000, NULL, NULL, 1, NULL", "9000000, NULL, NULL, 1", "NULL"),
        // 9 * 10^15 tokens at 10^12 are 9 * 10^27, far beyond 64 bits.
        ("1000000000000, NULL, NULL, 1000000000000, NULL", "9000000000000000, NULL, NULL, 9000000000000000", "NULL"),
    ])
    func `an attempt costs its tokens by the price that held`(prices: String, tokens: String, cost: String) throws {
        try database.sql(
            """
            INSERT INTO prices (model, effective_from, input, cached_input, cache_write, output, request, actor, reason)
            VALUES ('m', '2026-01-01Z', \(prices), 'tester', '')
            """)
        #expect(try self.cost(tokens, at: "2026-01-01Z") == cost)
    }

    @Test func `where there is no price there is no cost`() throws {
        // No span: the ledger joins none, so that all of the price is NULL.
        let none = "SELECT cost_of(NULL, NULL, NULL, NULL, NULL, "
        #expect(try database.sql(none + "100, NULL, NULL, 7) IS NULL") == "t")
        #expect(try database.sql(none + "NULL, NULL, NULL, 0)") == "0")
    }

    @Test(arguments: [
        "UPDATE prices SET input = 0", "DELETE FROM prices",
        // The same model, upstream and date again.
        "INSERT INTO prices (model, effective_from, input, output, actor, reason) VALUES ('m', '2026-01-01Z', 9, 9, 't', '')",
        "INSERT INTO prices (model, effective_from, input, actor, reason) VALUES ('m', '2026-02-01Z', 9, 't', '')",
        "INSERT INTO prices (model, effective_from, request, actor, reason) VALUES ('m', '2026-02-01Z', 9, 't', '')",
        "INSERT INTO prices (model, effective_from, input, output, actor, reason) VALUES ('m', '2026-02-01Z', -1, 9, 't', '')",
    ])
    func `the price book only grows, by whole prices`(change: String) throws {
        try price(from: "2026-01-01Z", input: 1)
        #expect(throws: TemporaryPostgres.Failure.self) { try database.sql(change) }
        #expect(try database.sql("SELECT count(*), sum(input) FROM prices") == "1|1")
    }
}
