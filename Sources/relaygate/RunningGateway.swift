internal import Accounting
internal import Arguments
internal import Configuration
internal import Failpoints
internal import Gateway
internal import Glibc
internal import Postgres
internal import Reactor
internal import Store
internal import Telemetry

/// A gateway with its ledger and its keys, from start to stop. What `serve` and `up` share.
struct RunningGateway {
    let configuration: GatewayConfiguration
    let gateway: Gateway
    private let ledger: LedgerWriter
    private let keys: KeyDirectory
    private let leases: LeaseManager
    private let usage: UsageKeeper
    private let reports: UsageService
    private let webhook: AlertWebhook?
    private let verdicts: VerdictStore
    private let retention: RetentionKeeper

    /// Starts everything. The database must be reachable and its schema current.
    static func start(_ configuration: GatewayConfiguration, logger: Logger) throws(CommandExit) -> RunningGateway {
        try Database.requireCurrentSchema(configuration)
        do {
            var ledgerSettings = Store.LedgerConfiguration(connection: configuration.postgres.url.reveal())
            ledgerSettings.queueLimit = configuration.ledger.queueLimit
            ledgerSettings.batchLimit = configuration.ledger.batchLimit
            ledgerSettings.connections = configuration.ledger.connections
            ledgerSettings.spool = try LedgerLog.openSpool(configuration.ledger)
            ledgerSettings.onEvent = { LedgerLog.write($0, logger) }
            let ledger = try LedgerWriter.start(ledgerSettings)
            var keySettings = KeyDirectoryConfiguration(connection: configuration.postgres.url.reveal())
            keySettings.connections = configuration.postgres.connections
            keySettings.outageGrace = configuration.postgres.outageGrace
            let keys = KeyDirectory(keySettings, loop: ledger.loop) { Clock.now() }
            let usage = UsageKeeper(connection: configuration.postgres.url.reveal(), loop: ledger.loop) {
                UsageLog.write($0, logger)
            }
            let webhook = try AlertWebhook.start(configuration, logger: logger)
            let leases = try startLeases(configuration, ledger, webhook, logger)
            guard waitUntilReady({ keys.isReady && leases.isReady }) else {
                throw CommandExit.failure(
                    "the database does not answer, or refuses what a gateway has to write; see whether it is "
                        + "overloaded, read-only, or its role lacks rights (the log says which)")
            }
            let verdicts = VerdictStore(connection: configuration.postgres.url.reveal(), loop: ledger.loop)
            let retention = try RetentionKeeper.start(configuration, logger: logger)
            let reports = try UsageService(
                UsageServiceConfiguration(connection: configuration.postgres.url.reveal())
            ) { Clock.now() }
            let settings = GatewaySettings(
                configuration: configuration, keys: keys,
                ledger: ChargingLedger(ledger: ledger, leases: leases, usage: usage), budgets: leases,
                verdicts: verdicts, usage: reports, logger: logger, policyVersion: version(configuration),
                metrics: {
                    BudgetMetrics.text(leases) + LedgerLog.metrics(ledger) + UsageLog.metrics(usage)
                        + retention.metrics()
                })
            let gateway = try Gateway.start(settings)
            return RunningGateway(
                configuration: configuration, gateway: gateway, ledger: ledger, keys: keys, leases: leases,
                usage: usage, reports: reports, webhook: webhook, verdicts: verdicts, retention: retention)
        } catch let exit as CommandExit {
            throw exit
        } catch {
            let listen = configuration.listen
            if (error as? SystemError)?.code == EADDRINUSE {
                throw .failure(
                    "port \(listen.port) of \(listen.host) is in use; stop what listens there or choose another port")
            }
            throw .failure("cannot listen on \(listen.host):\(listen.port): \(error)")
        }
    }

    /// Starts the keeping of budgets. A database that cannot keep them is no place for them.
    private static func startLeases(
        _ configuration: GatewayConfiguration, _ ledger: LedgerWriter, _ webhook: AlertWebhook?, _ logger: Logger
    ) throws(CommandExit) -> LeaseManager {
        let url = configuration.postgres.url.reveal()
        let accepts = configuration.budgets.acceptAsyncFailover
        let (hazards, hasBudgets) = try Database.use(url) { connection in
            (
                try await DatabaseSafety.hazards(connection, acceptsAsynchronousFailover: accepts),
                try await DatabaseSafety.hasBudgets(connection)
            )
        }
        let hazard = hazards.isEmpty ? nil : hazards.joined(separator: "; ")
        if let hazard {
            if hasBudgets { throw .failure("hard budgets cannot be kept by this database: \(hazard)") }
            logger.warning("hard budgets will be refused", ["reason": .string(hazard)])
        }
        var settings = LeaseManagerConfiguration(
            connection: url, gatewayName: "\(hostName):\(configuration.listen.port)", version: version(configuration))
        settings.hazard = hazard
        if let lifetime = FaultEnvironment.leaseLifetime {
            settings.timing.ttl = Int64(lifetime / .microseconds(1))
        }
        settings.onEvent = { LeaseLog.write($0, logger, webhook) }
        return LeaseManager(settings, loop: ledger.loop)
    }

    /// What operators call this machine.
    private static var hostName: String {
        var bytes = [CChar](repeating: 0, count: 256)
        guard unsafe gethostname(&bytes, bytes.count - 1) == 0 else { return "?" }
        return String(decoding: bytes.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// Keys and budgets are known from the first poll of the database on; a gateway that listens before would refuse
    /// its first callers.
    private static func waitUntilReady(_ isReady: () -> Bool) -> Bool {
        let deadline = ContinuousClock.now + .seconds(5)
        while !isReady() {
            guard ContinuousClock.now < deadline else { return false }
            usleep(5000)
        }
        return true
    }

    /// The base of the API.
    var url: String {
        let host = configuration.listen.host
        return "http://\(host.contains(":") ? "[\(host)]" : host):\(gateway.port)/v1"
    }

    /// Stops in order: no new requests, the last ones end or are cut, the ledger is written.
    func stop(_ logger: Logger) -> Bool {
        gateway.stop(deadline: configuration.shutdown.deadline)
        let semaphore = Semaphore()
        let outcome = FlushOutcome()
        ledger.flush(within: .seconds(10)) { isWritten in
            outcome.set(isWritten)
            semaphore.signal()
        }
        semaphore.wait()
        if !leases.stop(within: .seconds(3)) {
            logger.warning("leases could not be given back; another gateway closes them", ["waited_s": 3])
        }
        usage.stop()
        reports.stop()
        webhook?.stop()
        retention.stop()
        verdicts.stop()
        keys.stop()
        ledger.stop()
        if !outcome.isWritten { logger.error("the ledger could not be written", ["waited_s": 10]) }
        return outcome.isWritten
    }

    /// A name for the models part of the configuration: the first half of a hash of it.
    private static func version(_ configuration: GatewayConfiguration) -> String {
        let text = configuration.models.map { "\($0)" }.joined(separator: "\n")
        return String(SHA256.hexadecimal(SHA256.digest(Array(text.utf8))).prefix(16))
    }
}

/// The time of day.
enum Clock {
    static func now() -> Accounting.Timestamp {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Accounting.Timestamp(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)
    }
}
