internal import Accounting
package import Configuration
internal import HTTPServer
package import Reactor
internal import Synchronization
package import Telemetry

/// What a gateway is made of.
package struct GatewaySettings: Sendable {
    package let configuration: GatewayConfiguration
    package let catalog: Catalog
    package let keys: any KeyChecker
    package let ledger: any RequestLedger
    package let budgets: any BudgetKeeper
    package let verdicts: any VerdictKeeper
    package let usage: any UsageReporter
    package let logger: Logger
    /// Names the configuration that policies come from, in the ledger.
    package let policyVersion: String
    /// More lines for `GET /metrics`, in Prometheus's text format.
    package let metrics: @Sendable () -> [UInt8]
    let counters = RequestCounters()

    package init(
        configuration: GatewayConfiguration, keys: any KeyChecker, ledger: any RequestLedger,
        budgets: any BudgetKeeper, verdicts: any VerdictKeeper, usage: any UsageReporter, logger: Logger,
        policyVersion: String,
        metrics: @escaping @Sendable () -> [UInt8] = { [] }
    ) {
        self.configuration = configuration
        catalog = Catalog(configuration)
        self.keys = keys
        self.ledger = ledger
        self.budgets = budgets
        self.verdicts = verdicts
        self.usage = usage
        self.metrics = metrics
        self.logger = logger
        self.policyVersion = policyVersion
    }
}

/// The running gateway: one thread with one event loop for each of `listen.loops`.
package struct Gateway: Sendable {
    /// The port it listens on.
    package let port: UInt16
    private let threads: [LoopThread]
    private let loops: [LoopBound<GatewayLoop>]

    /// Starts listening. Throws when the address cannot be bound, with `EADDRINUSE` when somebody has the port.
    package static func start(_ settings: GatewaySettings) throws(SystemError) -> Gateway {
        let listen = settings.configuration.listen
        // The first socket is not shared, so that a port that somebody else listens on is noticed; with several loops
        // it is given up for shared ones.
        let host = listen.host == "localhost" ? "127.0.0.1" : listen.host
        var sockets: [Int32] = []
        let port: UInt16
        do {
            let probe = try ListenSocket(host: host, port: UInt16(clamping: listen.port), isShared: false)
            port = probe.port
            if listen.loops == 1 { sockets.append(probe.release()) }
        }
        while sockets.count < listen.loops {
            sockets.append(try ListenSocket(host: host, port: port, isShared: true).release())
        }
        var threads: [LoopThread] = []
        var loops: [LoopBound<GatewayLoop>] = []
        for (index, socket) in sockets.enumerated() {
            let started = StartedLoop()
            let thread = try LoopThread.start(name: "gateway-\(index)") { loop in
                do throws(SystemError) {
                    let gateway = try GatewayLoop(
                        settings, socket: ListenSocket(owning: socket, port: port), loop: loop)
                    started.set(.success(LoopBound(gateway, on: loop)))
                    return gateway
                } catch {
                    started.set(.failure(error))
                    loop.stop()
                    return nil
                }
            }
            threads.append(thread)
            loops.append(try started.wait())
        }
        return Gateway(port: port, threads: threads, loops: loops)
    }

    /// Stops accepting, lets requests end within `deadline`, cuts those that do not, and returns when all threads have
    /// ended. Not to be called from one of the gateway's loops.
    package func stop(deadline: Duration) {
        for (thread, bound) in zip(threads, loops) {
            let loop = thread.loop
            loop.post { bound.value.drain(deadline: deadline) { loop.stop() } }
        }
        for thread in threads { thread.join() }
    }
}

/// What a thread that starts says to the one that waits for it.
private final class StartedLoop: Sendable {
    private let result = Mutex<Result<LoopBound<GatewayLoop>, SystemError>?>(nil)
    private let signal = Semaphore()

    func set(_ value: Result<LoopBound<GatewayLoop>, SystemError>) {
        result.withLock { $0 = value }
        signal.signal()
    }

    func wait() throws(SystemError) -> LoopBound<GatewayLoop> {
        signal.wait()
        guard let value = result.withLock({ $0 }) else { preconditionFailure("signalled without a result") }
        return try value.get()
    }
}
