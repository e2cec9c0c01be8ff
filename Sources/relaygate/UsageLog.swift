internal import Store
internal import Telemetry

/// What operators see of the adding up of usage: its events, its counters.
enum UsageLog {
    static func write(_ event: UsageEvent, _ logger: Logger) {
        switch event {
        case .failing(let reason):
            logger.error("usage cannot be added up; see: relaygate ledger status", ["reason": .string(reason)])
        case .restored: logger.info("usage is added up again")
        }
    }

    /// The counters as Prometheus text.
    static func metrics(_ usage: UsageKeeper) -> [UInt8] {
        Array(
            """
            # HELP relaygate_usage_failures_total Times that usage could not be added up, of all tenants or of some.
            # TYPE relaygate_usage_failures_total counter
            relaygate_usage_failures_total \(usage.failures)
            # HELP relaygate_usage_failing 1 while usage cannot be added up.
            # TYPE relaygate_usage_failing gauge
            relaygate_usage_failing \(usage.isFailing ? 1 : 0)

            """.utf8)
    }
}
