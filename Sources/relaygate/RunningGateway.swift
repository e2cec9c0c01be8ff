internal import Accounting
internal import Arguments
internal import Configuration
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

    /// Starts everything. The database must be reachable and its schema current.
    static func start(_ configuration: GatewayConfiguration, logger: Logger) throws(CommandExit) -> RunningGateway {
        try Database.requireCurrentSchema(configuration)
        do {
            var ledgerSettings = Store.LedgerConfiguration(connection: configuration.postgres.url.reveal())
            ledgerSettings.queueLimit = configuration.ledger.queueLimit
            ledgerSettings.batchLimit = configuration.ledger.batchLimit
            ledgerSettings.onEvent = { event in
                switch event {
                case .lost(let reason): logger.error("database lost; the ledger waits", ["reason": .string(reason)])
                case .restored: logger.info("database restored; the ledger is written")
                }
            }
            let ledger = try LedgerWriter.start(ledgerSettings)
            var keySettings = KeyDirectoryConfiguration(connection: configuration.postgres.url.reveal())
            keySettings.connections = configuration.postgres.connections
            keySettings.outageGrace = configuration.postgres.outageGrace
            let keys = KeyDirectory(keySettings, loop: ledger.loop) { Clock.now() }
            guard waitUntilReady(keys) else {
                throw CommandExit.failure("the database does not answer; see whether it is overloaded")
            }
            let settings = GatewaySettings(
                configuration: configuration, keys: keys, ledger: ledger,
                logger: logger, policyVersion: version(configuration))
            let gateway = try Gateway.start(settings)
            return RunningGateway(configuration: configuration, gateway: gateway, ledger: ledger, keys: keys)
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

    /// Keys are known from the first poll of the database on; a gateway that listens before would refuse its first
    /// callers.
    private static func waitUntilReady(_ keys: KeyDirectory) -> Bool {
        let deadline = ContinuousClock.now + .seconds(5)
        while !keys.isReady {
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
