import Accounting
import Postgres
import Reactor
import Simulator
import Store
import Synchronization
import TestSupport
import Testing

@testable import Traces

/// The ledger as a source of simulations, held against the lines that an export writes of the same requests: these are
/// made and read by other code.
@Suite struct LedgerReplayTests {
    /// More than two pages.
    static let count = 4500
    /// What tests that only read have in common.
    private static let shared = Task { try await LedgerRows.database(count) }
    let database: String

    init() async throws { database = try await Self.shared.value }

    private func connected<Value: Sendable>(
        _ name: String? = nil, _ body: @Sendable (PostgresConnection) async throws -> Value
    ) async throws -> Value {
        let database = name ?? self.database
        return try await onLoop { actor in
            let connection = try await PostgresConnection.connect(
                .patient(database), on: actor.loop)
            defer { connection.close() }
            return try await body(connection)
        }
    }

    /// What an export says.
    private func exported(_ name: String? = nil) async throws -> [String] {
        try await connected(name) { connection in
            var lines: [String] = []
            _ = try await TraceReader(connection).forEach(TraceFilter()) { lines.append($0.json) }
            return lines
        }
    }

    /// What the pages say that the selection has, with so many requests known at a time.
    private func read(
        _ selection: TraceSelection = TraceSelection(), tags: Set<String> = ["team", "odd"], limit: Int = 1_000_000,
        after: UUID7? = nil
    ) async throws -> [LoggedRequest] {
        try await connected { connection in
            let query = try await LedgerQuery(selection, tags: tags, after: after, on: connection)
            var requests: [LoggedRequest] = []
            var last = after
            while true {
                let (pages, count) = try await query.pages(after: last, limit: limit, on: connection)
                let before = requests.count
                for page in pages { requests += try await query.requests(page, on: connection) }
                #expect(requests.count - before == count)
                guard count == limit else { return requests }
                last = pages.last?.last
            }
        }
    }

    @Test func `a page says what lines of an export say`() async throws {
        var reader = ReplayLine(tags: ["team", "odd"])
        let lines = try await exported()
        #expect(lines.count == Self.count)
        let found = try await read()
        #expect(found.count == Self.count)
        for (line, request) in zip(lines, found) {
            let wanted = try reader.read(Array(line.utf8))
            #expect("\(request)" == "\(wanted)")
        }
        // The records are what they are meant to be: all of these occur.
        #expect(found.contains { $0.choices == 2 } && found.contains { $0.verdicts.count == 3 })
        #expect(found.contains { $0.segments.contains { $0.attempt == 2 } })
        #expect(found.contains { $0.segments.contains { $0.role == .slm && $0.requested == nil } })
        #expect(found.contains { $0.segments.contains { $0.role == .slm && $0.requested == 1_000_000_000 } })
        #expect(
            found.contains { $0.segments.contains { $0.costPico != nil } } && found.contains { $0.propensity != nil })
    }

    @Test func `pages are cut so that each request comes once`() async throws {
        let ids = (0..<Self.count).map { LedgerRows.record($0).id }
        // 4,500 is no multiple of 700, and of 1,500 it is.
        for limit in [700, 1500, 4500] { #expect(try await read(limit: limit).map(\.id) == ids) }
        #expect(try await read(after: ids[4300]).map(\.id) == Array(ids[4301...]))
        #expect(try await read(after: ids[4499]).isEmpty)
    }

    struct Choice: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let selection: TraceSelection
        let isChosen: @Sendable (Int) -> Bool

        init(_ name: String, _ isChosen: @escaping @Sendable (Int) -> Bool, _ set: (inout TraceSelection) -> Void) {
            testDescription = name
            self.isChosen = isChosen
            var selection = TraceSelection()
            set(&selection)
            self.selection = selection
        }
    }

    static let choices = [
        Choice("two tenants", { $0 % 3 != 1 }, { $0.tenants = ["t0", "t2"] }),
        Choice("two policies", { $0 % 5 == 0 || $0 % 5 == 3 }, { $0.policies = ["slm", "fixed(100)", "none"] }),
        Choice("a tag", { $0 % 4 == 1 }, { $0.tags = [(key: "team", value: "a \"b\"")] }),
        Choice(
            "two tags", { $0 % 4 == 1 && $0 % 7 == 0 },
            {
                $0.tags = [(key: "team", value: "a \"b\""), (key: "odd", value: "")]
            }),
        Choice(
            "a time", { (100..<2700).contains($0) },
            {
                $0.from = LedgerRows.record(100).started
                $0.to = LedgerRows.record(2700).started
            }),
        Choice(
            "all of it", { $0 >= 100 && $0 % 3 == 0 && $0 % 5 == 0 && $0 % 4 == 1 },
            {
                $0.from = LedgerRows.record(100).started
                ($0.tenants, $0.policies, $0.tags) = (["t0"], ["slm"], [(key: "team", value: "a \"b\"")])
            }),
    ]

    @Test(arguments: choices) func `SQL chooses`(_ choice: Choice) async throws {
        let found = try await read(choice.selection)
        let numbers = (0..<Self.count).filter(choice.isChosen)
        #expect(found.map(\.id) == numbers.map { LedgerRows.record($0).id })
        // With their own segments and verdicts.
        #expect(found.map(\.segments.count) == numbers.map { LedgerRows.record($0).segments.count })
        #expect(found.map { !$0.verdicts.isEmpty } == numbers.map { $0 % 6 == 0 })
    }

    @Test func `a tenant that is none is named`() async throws {
        var selection = TraceSelection()
        selection.tenants = ["t1", "t9"]
        let wrong = selection
        let error = await #expect(throws: StoreError.self) { try await read(wrong) }
        #expect(error?.description == #"no tenant is named "t9""#)
    }

    /// Scenarios whose sums need all that a request has: caps, prices, routers, groups, intervals, budgets.
    static let scenarios: [@Sendable () -> Scenario] = [
        {
            var scenario = Scenario(title: "")
            scenario.verdictSource = "people"
            return scenario
        },
        {
            var scenario = Scenario(title: "")
            scenario.relay.budgetsRefuse = true
            scenario.policies = [
                PolicyEntry(name: "cap", counterfactual: .capTokensPerCall(32)),
                PolicyEntry(name: "slm", counterfactual: .slmOnly), PolicyEntry(name: "llm", counterfactual: .llmOnly),
            ]
            (scenario.groupBy, scenario.cluster, scenario.verdictSource) = ("team", .tenant, "tests")
            scenario.costModels = [CostModel(name: "recorded", basis: .recorded)]
            return scenario
        },
        {
            var scenario = Scenario(title: "")
            scenario.relay.budgetsRefuse = true
            let rule = BudgetRule(tenant: nil, tokens: 300, window: .hour, onExhausted: .degrade)
            scenario.policies = [PolicyEntry(name: "budget", counterfactual: .budgets([rule]))]
            scenario.verdictSource = "tests"
            return scenario
        },
    ]

    @Test(arguments: [0, 1, 2]) func `a replay of the ledger is one of its export`(_ number: Int) async throws {
        let scenario = Self.scenarios[number]()
        let own = try await LedgerRows.database(Self.count)
        for (turn, threads) in [1, 2, 5].enumerated() {
            var wanted = try TraceSimulation(scenario)
            var reader = ReplayLine(tags: wanted.tags)
            var reruns: [UUID7] = []
            let lines = try await exported(own)
            #expect(lines.count == Self.count + turn)
            for line in lines {
                let request = try reader.read(Array(line.utf8))
                if try wanted.add(request) != 0 { reruns.append(request.id) }
            }
            let found = Reruns()
            let result = try await replay(own, scenario, threads, found, late: LedgerRows.late(3001 + turn))
            #expect(result.encode() == wanted.encode())
            #expect(found.ids.withLock { $0 } == reruns)
            #expect(number != 1 || !reruns.isEmpty)
        }
    }

    /// - Parameter late: what is written to the ledger after the snapshot, and is not of it.
    private func replay(
        _ own: String, _ scenario: Scenario, _ threads: Int, _ found: Reruns, late: String
    ) async throws -> TraceSimulation {
        let empty = try TraceSimulation(scenario)
        let parts = try ParallelReplay(
            empty, next: { nil }, onRerun: { request, _ in found.ids.withLock { $0.append(request.id) } })
        try await connected(own) { connection in
            let snapshot = try await LedgerSnapshot.export(connection)
            let query = try await LedgerQuery(TraceSelection(), tags: empty.tags, after: nil, on: connection)
            let (pages, _) = try await query.pages(after: nil, limit: 1_000_000, on: connection)
            #expect(pages.count == 3)
            try await connected(own) { try await $0.execute(late) }
            let work = LedgerReplay(query, pages, parts)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<threads {
                    group.addTask {
                        try await connected(own) { other in
                            try await snapshot.join(other)
                            try await work.work(other)
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
        return try parts.result()
    }
}

private final class Reruns: Sendable {
    let ids = Mutex<[UUID7]>([])
}
