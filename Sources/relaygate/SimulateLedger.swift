internal import Accounting
internal import Arguments
internal import Simulator
internal import Store
internal import Traces

/// A simulation of the ledger: its requests are read as an export writes them, so that both say the same, and none of
/// them is kept.
enum SimulateLedger {
    /// Requests between two states that an interrupted run can go on from.
    private static let piece = 100_000

    static func replay(
        _ simulation: inout TraceSimulation, _ question: SimulateQuestion, _ shard: ParallelReplay.Shard?,
        after: String?, _ arguments: ParsedArguments, _ list: RerunList?, _ keeping: SimulateTraces.Keeping?
    ) throws(CommandExit) {
        let connection = try ConfigurationOption.connection(arguments)
        var filter = filter(question.scenario.selection)
        filter.after = after.flatMap { UUID7($0) }
        filter.limit = piece
        var done = 0
        var isFirst = true
        var bar: LedgerProgress?
        while true {
            let (begin, begun, shown) = (simulation, filter, bar)
            let wantsBar = isFirst
            let (next, count, last, showing) = try Database.use(connection) { database in
                let reader = TraceReader(database)
                var simulation = begin
                var lines = ReplayLine(tags: simulation.tags)
                var bar = shown
                if wantsBar { bar = try await LedgerProgress.start(reader, begun) }
                var last: UUID7?
                let count = try await reader.forEach(begun) { trace in
                    last = trace.request.id
                    bar?.advance(trace.request.id)
                    let request = try lines.read(Array(trace.json.utf8))
                    if let shard, !simulation.isInShard(request, shard.index, of: shard.count) { return }
                    let policies = try simulation.add(request)
                    if policies != 0 { list?.add(request, policies) }
                }
                return (simulation, count, last, bar)
            }
            (simulation, bar, isFirst) = (next, showing, false)
            done += count
            guard count == piece, let last else { break }
            filter.after = last
            try keeping?(simulation, nil, last.description)
        }
        bar?.finish()
    }

    /// The conditions that SQL can check; the simulator checks all of them again.
    private static func filter(_ selection: TraceSelection) -> TraceFilter {
        var filter = TraceFilter(
            tenant: selection.tenants.count == 1 ? selection.tenants[0] : nil, since: selection.from,
            until: selection.to)
        if selection.policies.count == 1 { filter.policy = selection.policies[0] }
        filter.tags = selection.tags.map { RequestTag(key: $0.key, value: $0.value) }
        return filter
    }
}

typealias LedgerProgress = ExportProgress
