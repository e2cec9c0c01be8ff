internal import Arguments
internal import Configuration
internal import Gateway
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
        let stop = try StopSignal.install()
        let logger = Logger(configuration.log)
        let running = try RunningGateway.start(configuration, logger: logger)
        Terminal.line("listening on \(running.url)")
        logger.info(
            "serving", ["port": .integer(Int(running.gateway.port)), "loops": .integer(configuration.listen.loops)])
        stop.wait()
        logger.info("stopping")
        if !running.stop(logger) { throw .failure("stopped, but the ledger could not be written") }
        logger.info("stopped")
    }
}
