internal import Arguments
internal import Configuration
internal import Gateway
internal import Glibc
internal import Reactor
internal import Telemetry

/// `relaygate serve`: the daemon.
enum ServeCommand {
    static let command = Arguments.Command(
        "serve", "run the gateway until SIGTERM",
        discussion: """
            Serves /v1/chat/completions, /v1/completions and /v1/models for the models of the configuration. On SIGTERM or \
            SIGINT it accepts nothing more, lets requests end within shutdown.deadline, writes the ledger and exits 0; a \
            second signal ends it at once.
            """, options: [ConfigurationOption.option])

    static func run(_ arguments: ParsedArguments) throws(CommandExit) {
        let configuration = try ConfigurationOption.load(arguments)
        // Before any thread exists, so that all of them leave the signals to this one.
        Signals.block([SIGTERM, SIGINT])
        let logger = Logger(configuration.log)
        let running = try RunningGateway.start(configuration, logger: logger)
        Terminal.line("listening on \(running.url)")
        logger.info("serving", ["port": .integer(Int(running.gateway.port)), "loops": .integer(configuration.listen.loops)])
        try waitForSignal()
        logger.info("stopping")
        if !running.stop(logger) { throw .failure("stopped, but the ledger could not be written") }
        logger.info("stopped")
    }

    /// Returns at the first SIGTERM or SIGINT. A second one ends the process.
    static func waitForSignal() throws(CommandExit) {
        do throws(SystemError) {
            let loop = try EventLoop(name: "signals")
            let signals = try Signals([SIGTERM, SIGINT], on: loop) { _ in loop.stop() }
            loop.run()
            withExtendedLifetime(signals) {}
        } catch {
            throw .failure("cannot wait for signals: \(error)")
        }
        let impatient = try? LoopThread.start(name: "signals") { loop in
            try? Signals([SIGTERM, SIGINT], on: loop) { _ in _exit(130) }
        }
        _ = impatient
    }
}
