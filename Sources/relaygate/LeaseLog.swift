internal import Accounting
internal import Store
internal import Telemetry
internal import Wire

/// What the keeping of budgets says to the operator: log lines and metrics.
enum LeaseLog {
    static func write(_ event: LeaseEvent, _ logger: Logger, _ webhook: AlertWebhook?) {
        switch event {
        case .alert(let alert):
            logger.warning(
                "budget threshold reached",
                [
                    "tenant": .string(alert.tenant), "key": .string(alert.key ?? ""),
                    "budget": .string(alert.budget), "window": .string(alert.window),
                    "window_start": .string(alert.windowStart.rfc3339), "percent": .integer(alert.percent),
                    "used": .integer(alert.used), "unreconciled": .integer(alert.unreconciled),
                    "amount": .integer(alert.amount),
                ])
            webhook?.post(alert)
        case .expired:
            logger.warning("this gateway was taken for dead; its leases were charged, it goes on with new ones")
        case .reaped(let gateways, let leases, let tokens):
            logger.warning(
                "leases of dead gateways closed",
                [
                    "gateways": .integer(gateways), "leases": .integer(leases),
                    "unreconciled_tokens": .integer(tokens),
                ])
        case .lost(let reason):
            logger.error("database lost; budgets hold only what is leased", ["reason": .string(reason)])
        case .restored: logger.info("database restored; budgets are kept again")
        case .fault(let what): logger.error("budgets: something is wrong", ["what": .string(what)])
        }
    }
}

/// The lease manager's counters as Prometheus text.
enum BudgetMetrics {
    static func text(_ leases: LeaseManager) -> [UInt8] {
        let (counts, holdings) = (leases.counts, leases.holdings)
        var text = ""
        func metric(_ name: String, _ kind: String, _ help: String, _ value: Int) {
            text += "# HELP relaygate_\(name) \(help)\n# TYPE relaygate_\(name) \(kind)\nrelaygate_\(name) \(value)\n"
        }
        metric("lease_grants_total", "counter", "Answers of the database to grants.", counts.grants)
        metric("lease_returns_total", "counter", "Answers of the database to returns.", counts.returns)
        metric("reservations_total", "counter", "Reservations taken from leases.", counts.reservations)
        metric(
            "reservations_refused_total", "counter", "Asks refused because a budget or rate was used up.",
            counts.refusals)
        metric(
            "reservations_refused_while_stranded_total", "counter",
            "Those of them while other gateways held unspent tokens.", counts.refusedWhileStranded)
        metric(
            "reservations_unavailable_total", "counter", "Asks refused because the database did not answer.",
            counts.unavailable)
        metric("calls_clamped_total", "counter", "Calls granted less than they asked for.", counts.clamped)
        metric(
            "overrun_tokens_total", "counter", "Tokens that servers sent beyond a reservation.", counts.overrunTokens)
        metric("budget_alerts_total", "counter", "Thresholds of budgets that this gateway told of.", leases.alerts)
        metric("leases", "gauge", "Leases held.", holdings.leases)
        metric("lease_tokens_available", "gauge", "Leased tokens that are free.", holdings.available)
        metric("lease_tokens_reserved", "gauge", "Leased tokens held by reservations.", holdings.reserved)
        metric(
            "lease_tokens_unconfirmed", "gauge", "Charged tokens that the ledger has not confirmed.",
            holdings.unconfirmed)
        return Array(text.utf8)
    }
}
