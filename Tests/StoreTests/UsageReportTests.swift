import Accounting
import Postgres
import Reactor
import Store
import TestSupport
import Testing

/// Reports of the database against the same cells added up here.
@Suite struct UsageReportTests {
    let server: TemporaryPostgres
    let database: String

    init() async throws {
        server = try TemporaryPostgres.shared.get()
        database = try await server.makeMigratedDatabase()
        try await UsageFixture.fill(database)
    }

    private func report(
        _ query: UsageQuery, tenant: UUID7? = nil, limit: Int = UsageReader.rowLimit
    ) async throws -> UsageReport {
        let database = self.database
        return try await onLoop { actor in
            let connection = try await PostgresConnection.connect(
                .patient(database), on: actor.loop)
            defer { connection.close() }
            // 2026-10-26 23:30 UTC: the fixture's last hour.
            return try await UsageReader(connection) { Timestamp(microseconds: 1_793_057_400_000_000) }
                .report(query, tenant: tenant, limit: limit)
        }
    }

    struct Question: Sendable {
        let by: String
        var filters: [UsageDimension: [String]] = [:]
        /// Hours by which the zone is ahead of UTC in all of the range.
        var ahead = 0
        var hours = 0..<96
        var testDescription: String { "\(by) \(filters.map { "\($0.key.name)=\($0.value)" }) +\(ahead) \(hours)" }
    }

    static let questions = [
        Question(by: "tenant"), Question(by: "key"), Question(by: "model"), Question(by: "policy"),
        Question(by: "tenant,day"), Question(by: "tenant,day", ahead: 2, hours: 0..<48), Question(by: "month,key"),
        Question(by: "hour,model"), Question(by: "hour", ahead: 2, hours: 5..<40), Question(by: "tag:team"),
        Question(by: "day,tag:team,tenant"), Question(by: "tag:team,tag:none"), Question(by: "role"),
        Question(by: "tag:none"), Question(by: "month,tag:none", filters: [.model: ["relay"]]),
        Question(by: "role,upstream,upstream_model"), Question(by: "upstream_model,day"), Question(by: "role,tag:team"),
        Question(by: "tenant", filters: [.tenant: ["bolt"]]), Question(by: "model", filters: [.key: ["keykeykey001"]]),
        Question(by: "day", filters: [.model: ["relay"], .policy: ["fixed(3)"]]),
        Question(by: "tenant", filters: [.tag("team"): ["b\"c"]]),
        Question(by: "tenant", filters: [.tag("team"): ["a", "b\"c"], .tenant: ["acme", "bolt"]]),
        Question(by: "tenant", filters: [.role: ["llm"]]), Question(by: "key", filters: [.upstream: ["u0-1", "u0-2"]]),
        Question(by: "policy", filters: [.upstreamModel: ["small-1"]]), Question(by: "tenant", hours: 10..<11),
        Question(by: "tenant", filters: [.model: ["nobody's"]]),
        // Whole days of UTC with ragged ends, and such that another zone's days cut.
        Question(by: "tenant", hours: 5..<91), Question(by: "role,day", hours: 23..<73),
        Question(by: "key,policy", ahead: 2, hours: 1..<70), Question(by: "upstream,day", ahead: 2, hours: 3..<66),
        // So few of each kind that some have nothing but hours of a day that moves.
        Question(by: "key,model,policy,day,tag:team", ahead: 2, hours: 0..<48),
        Question(by: "upstream_model,policy,day,key", filters: [.tag("team"): ["a"]], ahead: 2, hours: 0..<48),
        Question(by: "month,tag:team", ahead: 2, hours: 0..<48), Question(by: "model", hours: 24..<48),
        Question(by: "tenant", filters: [.role: ["slm"], .tag("team"): ["a"]], hours: 20..<80),
    ]

    @Test func `a report is the sum of its cells`() async throws {
        var reports: [UsageReport] = []
        for question in Self.questions { reports.append(try await check(question)) }
        // The same once all deltas have been moved.
        #expect(try server.sql("SELECT compact_usage() > 0", on: database) == "t")
        for before in reports { #expect(try await report(before.query) == before) }
    }

    @Test func `whole days are read as days, and the hours at their sides as hours`() async throws {
        // Each table says something else here; a report tells which it has read.
        try server.sql(
            """
            TRUNCATE usage_requests, usage_request_days, usage_segments, usage_segment_days, usage_request_deltas,
                usage_segment_deltas, usage_refusals;
            CREATE TEMPORARY TABLE who AS SELECT '\(UsageFixture.tenantID(0))'::uuid AS tenant,
                '\(UsageFixture.keyID(0))'::uuid AS key, '2026-10-23Z'::timestamptz AS start;
            INSERT INTO usage_requests
                SELECT tenant, start + h * interval '1 hour', key, 'm', 'p', '', 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0
                FROM who, generate_series(0, 95) h;
            INSERT INTO usage_segments
                SELECT tenant, start + h * interval '1 hour', key, 'm', 'p', '', 'llm', 'u', 'l', 1, 10, 0, 0, 0, 0, 0, 0
                FROM who, generate_series(0, 95) h;
            INSERT INTO usage_request_days
                SELECT tenant, start + d * interval '1 day', key, 'm', 'p', '', 24, 0, 0, 0, 0, 0, 0, 0, 1000, 0, 0, 0, 0, 0, 0
                FROM who, generate_series(0, 3) d;
            INSERT INTO usage_segment_days
                SELECT tenant, start + d * interval '1 day', key, 'm', 'p', '', 'llm', 'u', 'l', 24, 100000, 0, 0, 0, 0, 0, 0
                FROM who, generate_series(0, 3) d
            """, on: database)
        for part in Self.parts {
            var query = UsageQuery(dimensions: try UsageDimension.list(part.by, parameter: "by"), zone: part.zone)
            query.from = .instant(Self.moment(part.hours.lowerBound))
            query.to = .instant(Self.moment(part.hours.upperBound))
            let found = try await report(query).rows.map(\.sums.llmTokens)
            #expect(found == part.tokens, "\(part.by) \(part.zone) \(part.hours)")
        }
    }

    struct Part: Sendable {
        let by: String
        var zone = "UTC"
        let hours: Swift.Range<Int>
        /// Of each row.
        let tokens: [Int]
    }

    /// An hour has one LLM token and a day 1,000; in the tables of segments 10 and 100,000.
    static let parts = [
        // Four days; 19 hours, two days and 5 hours; hours alone, also across midnight; a day alone.
        Part(by: "tenant", hours: 0..<96, tokens: [4000]), Part(by: "tenant", hours: 5..<77, tokens: [2024]),
        Part(by: "tenant", hours: 2..<22, tokens: [20]), Part(by: "tenant", hours: 23..<25, tokens: [2]),
        Part(by: "month", hours: 24..<48, tokens: [1000]), Part(by: "day", hours: 5..<77, tokens: [19, 1000, 1000, 5]),
        Part(by: "hour", hours: 0..<48, tokens: [Int](repeating: 1, count: 48)),
        Part(by: "role", hours: 5..<77, tokens: [200_240]),
        Part(by: "day,upstream", hours: 24..<49, tokens: [100_000, 10]),
        // Where no days are told apart, those of UTC serve for any zone.
        Part(by: "key", zone: "Europe/Berlin", hours: 0..<96, tokens: [4000]),
        // Berlin's 24th begins at 22:00 of the 23rd: two hours move to it, and two of its own move on. The 25th has 25
        // hours, so that only one moves on; of the 27th there is that one.
        Part(by: "day", zone: "Europe/Berlin", hours: 0..<96, tokens: [998, 1000, 1001, 1000, 1]),
        // London is an hour ahead until the 25th, which therefore has one hour more; nothing moves to the 26th.
        Part(by: "day", zone: "Europe/London", hours: 0..<96, tokens: [999, 1000, 1001, 1000]),
        // Auckland is 13 hours ahead: its days begin at 11:00, and the 11 hours before that belong to the day before.
        Part(by: "day", zone: "Pacific/Auckland", hours: 24..<72, tokens: [11, 1000, 989]),
        // New York is 4 hours behind: its days begin at 04:00.
        Part(by: "day,role", zone: "America/New_York", hours: 0..<48, tokens: [40, 100_000, 99_960]),
    ]

    private func check(_ question: Question) async throws -> UsageReport {
        let dimensions = try UsageDimension.list(question.by, parameter: "by")
        var query = UsageQuery(dimensions: dimensions, filters: question.filters)
        if question.ahead == 2 { query.zone = "Europe/Berlin" }
        query.from = .instant(UsageReportTests.moment(question.hours.lowerBound))
        query.to = .instant(UsageReportTests.moment(question.hours.upperBound))
        let report = try await report(query)
        let expected = Expectation(question, dimensions)
        #expect(report.rows.map(\.labels) == expected.rows.keys.map(\.labels).sorted(by: UsageReportTests.precedes))
        for row in report.rows {
            #expect(row.sums == expected.rows[Labels(labels: row.labels)], "\(question.testDescription): \(row.labels)")
        }
        #expect(report.totals == expected.totals, "\(question.testDescription)")
        return report
    }

    /// 2026-10-23 00:00 UTC is day 20,749.
    private static func moment(_ hour: Int) -> Timestamp {
        Timestamp(microseconds: (20_749 * 24 + Int64(hour)) * 3_600_000_000)
    }

    /// All labels of a column have one form here, so that their order is that of their bytes.
    private static func precedes(_ left: [String?], _ right: [String?]) -> Bool {
        for (left, right) in zip(left, right) where left != right {
            guard let left, let right else { return left == nil }
            return Array(left.utf8).lexicographicallyPrecedes(Array(right.utf8))
        }
        return false
    }

    @Test func `what is left out of the top is one row, and the totals stay`() async throws {
        var query = UsageQuery(dimensions: [.key], from: .clock(Self.moment(0)), to: .clock(Self.moment(96)))
        let whole = try await report(query)
        var top = whole
        top.keep(top: 1)
        try #require(top.rows.count == 1)
        #expect(top.rows[0].sums.llmTokens == whole.rows.map(\.sums.llmTokens).max())
        #expect(top.others?.count == 3)
        #expect(top.totals == whole.totals)
        var sum = try #require(top.others?.sums)
        sum.add(top.rows[0].sums)
        #expect(sum == whole.totals)
        var all = whole
        all.keep(top: 4)
        #expect(all.others == nil)
        query.filters = [.model: ["nobody's"]]
        #expect(try await report(query).rows.isEmpty)
    }

    @Test func `hours that clocks show twice are two, and the day has all of them`() async throws {
        // 2026-10-25 in Berlin is from 22:00 UTC of the 24th, hour 46, to 23:00 UTC, hour 71: 25 hours.
        var query = UsageQuery(dimensions: [.hour], from: .clock(Self.moment(48)), to: .clock(Self.moment(72)))
        query.zone = "Europe/Berlin"
        let hours = try await report(query)
        #expect(hours.from == "2026-10-25T00:00+02:00")
        #expect(hours.to == "2026-10-26T00:00+01:00")
        let names = hours.rows.compactMap { $0.labels[0] }
        let first = try #require(names.firstIndex(of: "2026-10-25T02:00+02:00"))
        #expect(names[first...].prefix(2) == ["2026-10-25T02:00+02:00", "2026-10-25T02:00+01:00"])
        query.dimensions = [.day]
        let days = try await report(query)
        #expect(days.rows.map(\.labels) == [["2026-10-25"]])
        let cells = UsageFixture.cells.filter { (46..<71).contains($0.hour) }
        #expect(days.totals.requests == cells.reduce(0) { $0 + $1.requests })
        #expect(days.totals == hours.totals)
    }

    struct Range: Sendable {
        let from: String
        let to: String?
        let zone: String
        let expected: [String]
        var testDescription: String { "\(from) \(to ?? "") \(zone)" }
    }

    /// Asked on 2026-10-26 at 23:30 UTC, which is the 27th at 00:30 in Berlin; clocks there went back on the 25th.
    static let ranges = [
        Range(from: "today", to: nil, zone: "UTC", expected: ["2026-10-26T00:00+00:00", "2026-10-27T00:00+00:00"]),
        Range(
            from: "yesterday", to: "today", zone: "Europe/Berlin",
            expected: ["2026-10-26T00:00+01:00", "2026-10-27T00:00+01:00"]),
        Range(from: "-24h", to: nil, zone: "UTC", expected: ["2026-10-25T23:00+00:00", "2026-10-27T00:00+00:00"]),
        Range(
            from: "-7d", to: "-1d", zone: "Europe/Berlin",
            expected: ["2026-10-20T00:00+02:00", "2026-10-26T00:00+01:00"]),
        Range(
            from: "last-month", to: "this-month", zone: "America/New_York",
            expected: ["2026-09-01T00:00-04:00", "2026-10-01T00:00-04:00"]),
        Range(
            from: "2026-03-29T01:00Z", to: "2026-03-29T04:00", zone: "Europe/Berlin",
            expected: ["2026-03-29T03:00+02:00", "2026-03-29T04:00+02:00"]),
    ]

    @Test func `moments are those of the zone's clocks`() async throws {
        for range in Self.ranges { try await check(range) }
    }

    private func check(_ range: Range) async throws {
        var query = UsageQuery(dimensions: [.tenant], zone: range.zone)
        query.from = try UsageMoment(range.from, parameter: "from")
        if let to = range.to { query.to = try UsageMoment(to, parameter: "to") }
        let report = try await report(query)
        #expect([report.from, report.to] == range.expected, "\(range.testDescription)")
    }

    struct Fault: Sendable {
        let query: UsageQuery
        let message: String
    }

    static let faults = [
        Fault(query: UsageQuery(dimensions: [], zone: "Asia/Kolkata"), message: "differs from UTC by 5 h 30 min"),
        Fault(
            query: UsageQuery(dimensions: [], zone: "Australia/Lord_Howe"), message: "differs from UTC by 10 h 30 min"),
        Fault(
            query: UsageQuery(dimensions: [], zone: "Europe/Berln"), message: "no time zone is named \"Europe/Berln\""),
        Fault(query: UsageQuery(dimensions: [], from: .ago(-2, .day)), message: "is not before the end"),
        Fault(query: UsageQuery(dimensions: [], from: .ago(121, .month)), message: "more than ten years"),
        Fault(
            query: UsageQuery(dimensions: [], filters: [.tenant: ["acne"]]),
            message: "no tenant is named \"acne\"; did you mean \"acme\"?"),
        Fault(query: UsageQuery(dimensions: [], filters: [.key: ["k"]]), message: "no key has the public id \"k\""),
    ]

    @Test func `what cannot be reported is said`() async throws {
        for fault in Self.faults {
            let error = await #expect(throws: StoreError.self) { _ = try await report(fault.query) }
            #expect(error?.description.contains(fault.message) == true, "\(error?.description ?? "")")
        }
    }

    @Test func `a tenant's own report holds nothing of another, whatever it filters by`() async throws {
        let bolt = try #require(UUID7(UsageFixture.tenantID(1)))
        var query = UsageQuery(dimensions: [.tenant], from: .clock(Self.moment(0)), filters: [.tenant: ["acme"]])
        #expect(try await report(query, tenant: bolt).rows.map(\.labels) == [["bolt"]])
        query.filters = [.key: [UsageFixture.publicID(0)]]
        #expect(try await report(query, tenant: bolt).rows.isEmpty, "a key of another tenant")
    }

    @Test func `a report of too many rows is refused`() async throws {
        let query = UsageQuery(dimensions: [.key], from: .clock(Self.moment(0)))
        #expect(try await report(query, limit: 4).rows.count == 4)
        let error = await #expect(throws: StoreError.self) { _ = try await report(query, limit: 3) }
        #expect(error?.code == .invalid)
    }

    @Test func `the tightest budget stands beside tenants and keys`() async throws {
        try server.sql(
            """
            SELECT set_budget(id::uuid, '\(UsageFixture.tenantID(0))', k::uuid, name, 'llm_tokens', 'generated', w, amount,
                'degrade', true, 'leased', '{}', 'test', '')
            FROM (VALUES ('01900000-0000-7000-8000-0000000003a1', NULL, 'monthly', 'month', 500),
                ('01900000-0000-7000-8000-0000000003a2', NULL, 'daily', 'day', 300),
                ('01900000-0000-7000-8000-0000000003a3', '\(UsageFixture.keyID(0))', 'own', 'day', 200)) AS b (id, k, name, w, amount);
            SELECT set_budget('01900000-0000-7000-8000-0000000003a4', '\(UsageFixture.tenantID(0))', NULL, 'rate', 'requests',
                'generated', 'minute', 1, 'reject', true, 'leased', '{}', 'test', '')
            """, on: database)
        func budgets(_ by: [UsageDimension]) async throws -> [String?] {
            let query = UsageQuery(dimensions: by, from: .clock(Self.moment(0)), to: .clock(Self.moment(96)))
            return try await report(query).rows.map { row in row.budget.map { "\($0.name) \($0.used) \($0.left)" } }
        }
        #expect(try await budgets([.tenant]) == ["daily 0 300", nil])
        #expect(try await budgets([.key]) == ["own 0 200", "daily 0 300", nil, nil])
        #expect(try await budgets([.tenant, .key]) == ["own 0 200", "daily 0 300", nil, nil])
        #expect(try await budgets([.tenant, .model]) == [nil, nil, nil, nil])
    }
}

struct Labels: Hashable {
    let labels: [String?]
}

/// What the cells of a question add up to.
private struct Expectation {
    var rows: [Labels: UsageSums] = [:]
    var totals = UsageSums()

    init(_ question: UsageReportTests.Question, _ dimensions: [UsageDimension]) {
        let named = dimensions + question.filters.keys
        let ofSegments = named.contains { [.role, .upstream, .upstreamModel].contains($0) }
        let isRefusable =
            !ofSegments
            && !named.contains { dimension in
                if case .tag = dimension { true } else { dimension == .policy }
            }
        if !ofSegments {
            (totals.requests, totals.degraded, totals.failed, totals.calls) = (0, 0, 0, 0)
            (totals.latencies, totals.firstTokens) = (LatencyHistogram(), LatencyHistogram())
        }
        if isRefusable { totals.refused = 0 }
        for cell in UsageFixture.cells where question.hours.contains(cell.hour) {
            func add(_ segment: UsageFixture.Segment?, _ change: (inout UsageSums) -> Void) {
                func label(_ dimension: UsageDimension) -> String? {
                    Expectation.label(dimension, cell, segment, ahead: question.ahead)
                }
                guard question.filters.allSatisfy({ filter in label(filter.key).map(filter.value.contains) ?? false })
                else { return }
                var sums = UsageSums()
                if !ofSegments {
                    (sums.requests, sums.degraded, sums.failed, sums.calls) = (0, 0, 0, 0)
                    (sums.latencies, sums.firstTokens) = (LatencyHistogram(), LatencyHistogram())
                }
                if isRefusable { sums.refused = 0 }
                change(&sums)
                rows[Labels(labels: dimensions.map(label)), default: UsageSums()].add(sums)
                totals.add(sums)
            }
            for segment in cell.segments { add(segment) { Expectation.count(segment, &$0) } }
            if ofSegments { continue }
            add(nil) { Expectation.count(cell, &$0) }
            if isRefusable { add(nil) { $0.refused = cell.refused } }
        }
    }

    private static func count(_ segment: UsageFixture.Segment, _ sums: inout UsageSums) {
        if segment.role == "slm" { sums.slmTokens = segment.tokens } else { sums.llmTokens = segment.tokens }
        sums.commandTokens = 2
        sums.promptTokens = 50
        sums.cachedTokens = 10
        sums.promptsUnknown = 1
        sums.costPico = Int128(segment.costPico)
        sums.unpriced = segment.unpriced
    }

    private static func count(_ cell: UsageFixture.Cell, _ sums: inout UsageSums) {
        let number = UsageFixture.cells.firstIndex {
            $0.hour == cell.hour && $0.segments[0].tokens == cell.segments[0].tokens
        }
        (sums.requests, sums.degraded, sums.failed, sums.calls) = (3, 1, (number ?? 0) % 2, number)
        var groups = [UInt16](repeating: 0, count: 300)
        for (bucket, count) in cell.buckets { groups[3 * bucket] = UInt16(count) }
        sums.latencies = LatencyHistogram(groups: groups)
        sums.firstTokens = sums.latencies
    }

    private static func label(
        _ dimension: UsageDimension, _ cell: UsageFixture.Cell, _ segment: UsageFixture.Segment?, ahead: Int
    ) -> String? {
        let hour = cell.hour + ahead
        let day = "2026-10-\(23 + hour / 24)"
        switch dimension {
        case .tenant: return ["acme", "bolt"][cell.tenant]
        case .key: return UsageFixture.publicID(cell.key)
        case .model: return cell.model
        case .policy: return cell.policy
        case .role: return segment?.role
        case .upstream: return segment?.upstream
        case .upstreamModel: return segment?.upstreamModel
        case .hour: return "\(day)T\(hour % 24 < 10 ? "0" : "")\(hour % 24):00+0\(ahead):00"
        case .day: return day
        case .month: return "2026-10"
        case .tag(let key): return key == "team" ? cell.team : nil
        }
    }
}
