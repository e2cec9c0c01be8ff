internal import Arguments
internal import Configuration
internal import Foundation
internal import Telemetry

/// `--config`, which most commands have.
enum ConfigurationOption {
    static let option = Option.value(
        "config", .text, "FILE", default: "relaygate.yaml", "configuration file; see `relaygate config example`")

    /// Of commands that read much of the ledger; see `LedgerSource`.
    static let primary = Option.flag("primary", "read postgres.url although there is a postgres.replica")

    /// The whole configuration.
    static func load(_ arguments: ParsedArguments) throws(CommandExit) -> GatewayConfiguration {
        let path = arguments.text("config") ?? "relaygate.yaml"
        do throws(ConfigurationError) {
            return try GatewayConfiguration.load(path: path, environment: ProcessInfo.processInfo.environment)
        } catch {
            throw .failure(error.description)
        }
    }

    /// Where the database is.
    static func connection(_ arguments: ParsedArguments) throws(CommandExit) -> String {
        try load(arguments).postgres.url.reveal()
    }
}

extension Logger {
    init(_ configuration: LogConfiguration) {
        self.init(
            level: LogLevel(rawValue: configuration.level.rawValue) ?? .info,
            format: LogFormat(rawValue: configuration.format.rawValue) ?? .text)
    }
}
