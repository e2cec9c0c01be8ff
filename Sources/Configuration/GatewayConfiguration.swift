/// The whole of `relaygate.yaml`, checked: names resolve, numbers are in range, secrets are fetched.
///
/// Every property's default and range is in `ConfigurationReference`.
package struct GatewayConfiguration: Sendable {
    package var listen: ListenConfiguration
    package var postgres: PostgresConfiguration
    package var ledger: LedgerConfiguration
    package var budgets: BudgetsConfiguration
    package var retention: RetentionConfiguration
    /// At least one; names are unique.
    package var upstreams: [UpstreamConfiguration]
    /// At least one; names are unique and refer to upstreams that exist.
    package var pairs: [PairConfiguration]
    /// At least one; names are unique and refer to pairs that exist.
    package var models: [ModelConfiguration]
    package var shutdown: ShutdownConfiguration
    package var log: LogConfiguration

    /// The upstream with this name, or nil.
    package func upstream(named name: String) -> UpstreamConfiguration? {
        upstreams.first { $0.name == name }
    }

    /// The pair with this name, or nil.
    package func pair(named name: String) -> PairConfiguration? {
        pairs.first { $0.name == name }
    }

    /// The public model with this name, or nil.
    package func model(named name: String) -> ModelConfiguration? {
        models.first { $0.name == name }
    }
}

/// Section `listen`: where callers connect, and the limits of one process.
package struct ListenConfiguration: Sendable, Equatable {
    package var host: String
    /// 0 takes a free port.
    package var port: Int
    /// Event-loop threads; `auto` is resolved.
    package var loops: Int
    /// In bytes.
    package var bodyLimit: Int
    /// In bytes.
    package var headerLimit: Int
    package var connectionLimit: Int
    package var idleTimeout: Duration
    /// In bytes, for one client.
    package var streamBuffer: Int
    package var maxChoices: Int
}

/// Section `postgres`.
package struct PostgresConfiguration: Sendable {
    /// A connection string as libpq takes it. Secret, because it may hold a password.
    package var url: Secret
    /// Likewise, of a replica that reports, exports and simulations read; nil: they read `url`.
    package var replica: Secret?
    package var connections: Int
    package var outageGrace: Duration
}

/// Section `ledger`.
package struct LedgerConfiguration: Sendable, Equatable {
    /// What a response's last event waits for.
    package enum Receipt: String, Sendable, CaseIterable {
        case committed, queued
    }

    package var receipt: Receipt
    /// In bytes.
    package var queueLimit: Int
    /// In requests of one transaction.
    package var batchLimit: Int
    package var connections: Int
    /// The directory that bridges outages of the database; nil: none.
    package var spool: String?
    package var spoolBytes: Int
}

/// Section `budgets`.
package struct BudgetsConfiguration: Sendable {
    /// Where alerts are posted. Secret, because such addresses often hold a token.
    package var webhook: Secret?
    /// Whether a standby that is not waited for may be there all the same.
    package var acceptAsyncFailover: Bool
}

/// Section `retention`: how long the ledger keeps things; nil is for ever.
package struct RetentionConfiguration: Sendable, Equatable {
    /// Requests, segments and charges, by whole months.
    package var segments: Duration?
    /// Hashes and text of prompts and answers.
    package var payloads: Duration?
    package var deadLetters: Duration?
    /// Events of leases that are closed.
    package var leaseEvents: Duration?
}

/// Section `shutdown`.
package struct ShutdownConfiguration: Sendable, Equatable {
    package var deadline: Duration
}

/// Section `log`.
package struct LogConfiguration: Sendable, Equatable {
    /// How a line is written.
    package enum Format: String, Sendable, CaseIterable {
        case text, json
    }

    /// From chatty to quiet.
    package enum Level: String, Sendable, CaseIterable {
        case debug, info, warning, error
    }

    package var format: Format
    package var level: Level
}
