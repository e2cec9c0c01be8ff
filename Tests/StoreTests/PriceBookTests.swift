import Accounting
import Store
import Testing

@Suite struct PriceBookTests {
    let database: MeteredDatabase

    init() async throws { database = try await MeteredDatabase() }

    private static func date(_ text: String) -> Timestamp { Timestamp(rfc3339: text) ?? Timestamp(microseconds: -1) }

    private static func price(
        _ model: String = "m", at upstream: String? = nil, _ date: String = "2026-01-01", _ rates: PriceRates? = rates
    ) -> Price {
        Price(model: model, upstream: upstream, from: Self.date(date), rates: rates)
    }

    private static let rates = PriceRates(input: 3, cachedInput: 1, cacheWrite: nil, output: 11, request: 1000)

    @Test func `what is set is listed, with who and why and until when`() async throws {
        let records = try await database.book { book in
            try await book.set(Self.price("m", "2026-01-01"), actor: "ada", reason: "first")
            try await book.set(Self.price("m", "2026-02-01", nil), actor: "bob", reason: "")
            try await book.set(Self.price("m", at: "u", "2026-01-15"), actor: "ada", reason: "")
            return try await book.list(model: nil)
        }
        #expect(
            records.map(\.price) == [
                Self.price("m", "2026-01-01"), Self.price("m", "2026-02-01", nil),
                Self.price("m", at: "u", "2026-01-15"),
            ])
        #expect(records.map(\.until) == [Self.date("2026-02-01"), nil, nil])
        #expect(records.map(\.actor) == ["ada", "bob", "ada"])
        #expect(records.map(\.reason) == ["first", "", ""])
        let others = try await database.book { try await $0.list(model: "n") }
        #expect(others == [])
    }

    @Test func `a second price of the same date is refused and says what to do`() async throws {
        try await database.book { try await $0.set(Self.price(), actor: "ada", reason: "") }
        for rates in [Self.rates, nil] {
            let error = await #expect(throws: StoreError.self) {
                try await database.book {
                    try await $0.set(Self.price("m", "2026-01-01", rates), actor: "b", reason: "")
                }
            }
            #expect(error?.code == .exists)
            #expect(error?.description.contains("from another date") == true)
        }
        #expect(try database.sql("SELECT count(*), min(actor) FROM prices") == "1|ada")
    }

    @Test func `all new prices of a file are added, or none when one is taken`() async throws {
        try await database.book { try await $0.set(Self.price("a"), actor: "ada", reason: "") }
        var changed = Self.rates
        changed.output = 12
        let wanted = [Self.price("a"), Self.price("b"), Self.price("c", "2026-01-01", nil)]
        let conflicting = [Self.price("b"), Self.price("a", "2026-01-01", changed), Self.price("c")]
        let refused = try await database.book {
            try await $0.add(conflicting, actor: "ada", reason: "", isDryRun: false)
        }
        #expect(refused == [.new, .taken(Self.rates), .new])
        #expect(try database.sql("SELECT count(*) FROM prices") == "1")
        let tried = try await database.book { try await $0.add(wanted, actor: "ada", reason: "", isDryRun: true) }
        #expect(tried == [.unchanged, .new, .new])
        #expect(try database.sql("SELECT count(*) FROM prices") == "1")
        let added = try await database.book { try await $0.add(wanted, actor: "bob", reason: "r", isDryRun: false) }
        #expect(added == [.unchanged, .new, .new])
        #expect(
            try database.sql("SELECT string_agg(model || actor, ',' ORDER BY model) FROM prices") == "aada,bbob,cbob")
        let again = try await database.book { try await $0.add(wanted, actor: "ada", reason: "", isDryRun: false) }
        #expect(again == [.unchanged, .unchanged, .unchanged])
        // Unpriced on one side alone is a difference.
        let unpriced = try await database.book {
            try await $0.add(
                [Self.price("c"), Self.price("b", "2026-01-01", nil)], actor: "a", reason: "", isDryRun: false)
        }
        #expect(unpriced == [.taken(nil), .taken(Self.rates)])
    }

    @Test func `no price for a request is the same as none to pay`() async throws {
        let (none, zero) = (PriceRates(input: 1, output: 2), PriceRates(input: 1, output: 2, request: 0))
        try await database.book { try await $0.set(Self.price("m", "2026-01-01", none), actor: "ada", reason: "") }
        let found = try await database.book {
            try await $0.add([Self.price("m", "2026-01-01", zero)], actor: "a", reason: "", isDryRun: false)
        }
        #expect(found == [.unchanged])
    }

    @Test(arguments: [
        price(""), price(String(repeating: "m", count: 257)), price("m", at: String(repeating: "u", count: 257)),
        price("m\u{0}"), price("m", "2026-01-01", PriceRates(input: 1_000_000_000_001, output: 0)),
        price("m", "2026-01-01", PriceRates(input: -1, output: 0)),
        price("m", "2026-01-01", PriceRates(input: 0, output: 0, request: 1_000_000_000_000_001)),
    ])
    func `what is out of range is refused`(_ price: Price) async throws {
        let error = await #expect(throws: StoreError.self) {
            try await database.book { try await $0.set(price, actor: "ada", reason: "") }
        }
        #expect(error?.code == .invalid)
        #expect(try database.sql("SELECT count(*) FROM prices") == "0")
    }

    // MARK: Another price book

    /// Four requests in January, one at its first moment and one in its last; one before it and one after it.
    private func fill() throws {
        typealias Attempt = MeteredDatabase.Attempt
        try database.add(1, at: "2025-12-31 23:59:59.999Z", [Attempt(prompt: 1, generated: 1, cost: 1_000_000)])
        try database.add(
            2, at: "2026-01-01 00:00:00Z",
            [
                Attempt(prompt: 100, cached: 20, written: 10, generated: 7, cost: 500),
                Attempt(model: "small", upstream: "s1", prompt: 50, generated: 9, cost: 40),
            ])
        try database.add(
            3, at: "2026-01-20 00:00:00Z",
            [
                Attempt(prompt: 10, generated: 1, cost: nil), Attempt(prompt: nil, generated: 0, cost: nil),
                Attempt(upstream: "backup", prompt: 10, generated: 1, cost: 33),
            ])
        try database.add(
            4, tenant: MeteredDatabase.other, at: "2026-01-31 23:59:59.999Z",
            [
                Attempt(prompt: nil, generated: 4, cost: 7)
            ])
        try database.add(5, at: "2026-02-01 00:00:00Z", [Attempt(prompt: 1, generated: 1, cost: 1_000_000)])
    }

    private func reprice(_ book: [Price], tenant: String? = nil) async throws -> [String] {
        let usage = try await database.book {
            try await $0.reprice(
                from: Self.date("2026-01-01"), to: Self.date("2026-02-01"), by: book, tenant: tenant)
        }
        return usage.map {
            "\($0.upstreamModel ?? "all") \($0.upstream ?? "-") \($0.segments) \($0.recorded) \($0.repriced) "
                + "\($0.difference) \($0.recordedUnpriced) \($0.repricedUnpriced)"
        }
    }

    @Test func `what requests would have cost is summed by model and upstream`() async throws {
        try fill()
        let book = [
            Self.price("big", "1970-01-01"),
            // From the 20th on the main upstream is dearer; not one second earlier.
            Self.price("big", at: "large", "2026-01-20", PriceRates(input: 30, output: 110)),
            Self.price("big", at: "backup", "2026-01-21", PriceRates(input: 999, output: 999)),
            Self.price("unused", "1970-01-01"),
        ]
        #expect(
            try await reprice(book) == [
                // 10 * 3 + 11 + 1000 by the general price, since its own begins a day later; recorded were 33.
                "big backup 1 33 1041 1008 0 0",
                // 70 * 3 + 20 * 1 + 10 * 3 + 7 * 11 + 1000 = 1337, and from the 20th 10 * 30 + 110 = 410, one that
                // was not served, and one whose prompt nobody counted: unpriced. Recorded were 500 + 7, and one
                // without cost.
                "big large 4 507 1747 1240 1 1",
                // Not in the book; recorded were 40.
                "small s1 1 40 0 -40 0 1",
                "all - 6 580 2788 2208 1 2",
            ])
        // Nothing changed.
        #expect(try database.sql("SELECT sum(cost_pico), count(price_id) FROM segments") == "2000580|0")
        #expect(try database.sql("SELECT count(*) FROM prices") == "0")
    }

    @Test func `a book may say that a model is unpriced from a date on`() async throws {
        try fill()
        let book = [Self.price("big", "1970-01-01"), Self.price("big", at: "large", "2026-01-20", nil)]
        let lines = try await reprice(book, tenant: "acme")
        // 1337 as above, then one that is unpriced and one that was not served.
        #expect(lines.contains("big large 3 500 1337 837 1 1"), "\(lines)")
    }

    @Test func `one tenant's requests are repriced alone`() async throws {
        try fill()
        let book = [Self.price("big", "1970-01-01", PriceRates(input: 0, output: 5))]
        // 4 * 5, the prompt being free; recorded were 7.
        #expect(
            try await reprice(book, tenant: "other") == ["big large 1 7 20 13 0 0", "all - 1 7 20 13 0 0"])
        #expect(try await reprice([], tenant: "other") == ["big large 1 7 0 -7 0 1", "all - 1 7 0 -7 0 1"])
        let error = await #expect(throws: StoreError.self) { try await reprice(book, tenant: "othr") }
        #expect(error?.code == .notFound)
        #expect(error?.description.contains("did you mean \"other\"?") == true)
    }

    @Test func `the simulated book costs what the real one does`() async throws {
        // The same tokens through price_spans and cost_of, as the ledger's statement finds costs.
        try fill()
        let book = [
            Self.price("big", "2025-01-01"),
            Self.price("big", at: "large", "2026-01-20", PriceRates(input: 7, output: 8)),
            Self.price(
                "small", "2026-01-01", PriceRates(input: 2, cachedInput: 1, cacheWrite: 4, output: 5, request: 6)),
        ]
        _ = try await database.book { try await $0.add(book, actor: "ada", reason: "", isDryRun: false) }
        let expected = try database.sql(
            """
            SELECT count(*), sum(c.cost), count(*) FILTER (WHERE c.cost IS NULL)
            FROM requests r JOIN segments s ON s.request_id = r.id
            LEFT JOIN LATERAL price_spans(ARRAY[s.model], ARRAY[s.upstream]) p
                ON p.since <= r.started_at AND r.started_at < p.until
            CROSS JOIN LATERAL cost_of(p.input, p.cached_input, p.cache_write, p.output, p.request, s.prompt_tokens,
                s.cached_tokens, s.cache_write_tokens, s.generated_tokens) AS c (cost)
            WHERE r.started_at >= '2026-01-01Z' AND r.started_at < '2026-02-01Z'
            """
        ).split(separator: "|")
        let total = try await database.book {
            try await $0.reprice(
                from: Self.date("2026-01-01"), to: Self.date("2026-02-01"), by: book, tenant: nil)
        }.last
        #expect(total.map { ["\($0.segments)", $0.repriced, "\($0.repricedUnpriced)"] } == expected.map(String.init))
    }

    @Test func `sums beyond 64 bits are exact`() async throws {
        // Twice 9 * 10^18 are 18,000,000,000,000,000,000.
        for number in 1...2 {
            try database.add(
                number, at: "2026-01-01 00:00:0\(number)Z", [.init(prompt: 9_000_000, cost: 9_000_000_000_000_000_000)])
        }
        let book = [Self.price("big", "1970-01-01", PriceRates(input: 1_000_000_000_000, output: 0))]
        let last = try await reprice(book).last
        #expect(last == "all - 2 18000000000000000000 18000000000000000000 0 0 0")
        #expect(Money.dollars(picoDigits: "18000000000000000000") == "18000000.00")
    }

    @Test(arguments: [
        (#"[{"model":"m","input":"0.0000001","output":"1"}]"#, "price_has_six_decimals"),
        (#"[{"model":"m","input":"-1","output":"1"}]"#, "price_is_not_negative"),
        (#"[{"model":"m","input":"1000001","output":"1"}]"#, "price_is_at_most_a_million"),
        (#"[{"model":"m","input":"1","output":"1","request":"1001"}]"#, "request_price_is_at_most_a_thousand"),
        (#"[{"input":"1","output":"1"}]"#, "model_is_given"),
    ])
    func `a wrong book is refused in SQL too`(book: String, constraint: String) throws {
        let error = #expect(throws: (any Error).self) {
            try database.sql("SELECT * FROM report.reprice('2026-01-01Z', '2026-02-01Z', '\(book)')")
        }
        #expect(error.map { "\($0)".contains(constraint) } == true, "\(String(describing: error))")
    }

    @Test func `dates of a book are UTC whatever the session's zone`() throws {
        try database.add(1, at: "2026-01-01 00:30:00Z", [.init(prompt: 1, cost: 5)])
        let book = #"[{"model":"big","from":"2026-01-01T00:30","input":"1","output":"1"}]"#
        // A million pico-dollars for one prompt token.
        let found = try database.sql(
            """
            SET timezone = 'America/Los_Angeles';
            SELECT repriced_dollars FROM report.reprice('2026-01-01Z', '2026-01-02Z', '\(book)')
            """)
        #expect(found == "0.000001000000")
    }
}
