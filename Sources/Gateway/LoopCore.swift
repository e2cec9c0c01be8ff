internal import Accounting
internal import Configuration
internal import Glibc
internal import Reactor
internal import Telemetry
internal import Wire

/// What all requests of one loop share. *Loop thread.*
final class LoopCore {
    let loop: EventLoop
    let configuration: GatewayConfiguration
    let catalog: Catalog
    let upstreams: UpstreamPool
    let keys: any KeyChecker
    let ledger: any RequestLedger
    let budgets: any BudgetKeeper
    let verdicts: any VerdictKeeper
    let usage: any UsageReporter
    let counters: RequestCounters
    let logger: Logger
    let policyVersion: String
    var parser = JSONParser()
    var random = RandomWords()

    init(_ settings: GatewaySettings, loop: EventLoop) throws(SystemError) {
        self.loop = loop
        configuration = settings.configuration
        catalog = settings.catalog
        keys = settings.keys
        ledger = settings.ledger
        budgets = settings.budgets
        verdicts = settings.verdicts
        usage = settings.usage
        counters = settings.counters
        logger = settings.logger
        policyVersion = settings.policyVersion
        upstreams = try UpstreamPool(settings.catalog, loop: loop)
    }

    /// The time of day, for the ledger and for ids.
    static func wallClock() -> Accounting.Timestamp {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Accounting.Timestamp(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)
    }

    /// A new id for a request that began at `time`.
    func newID(_ time: Accounting.Timestamp) -> UUID7 {
        UUID7(milliseconds: UInt64(max(0, time.microseconds)) / 1000) { random.next() }
    }
}

extension Duration {
    /// Whole microseconds, rounded down.
    var microseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds * 1_000_000 + attoseconds / 1_000_000_000_000
    }
}
