internal import Arguments
internal import Configuration

/// `relaygate config`: the configuration file.
enum ConfigCommand {
    static let command = Arguments.Command(
        "config", "check and explain the configuration",
        subcommands: [
            Command(
                "check", "read a configuration and list everything that is wrong with it",
                options: [ConfigurationOption.option]),
            Command("example", "print a complete configuration with comments"),
            Command("reference", "print every key with type, default and meaning, as Markdown"),
        ])

    static func run(_ arguments: ParsedArguments) throws(CommandExit) {
        switch arguments.path.last {
        case "example": Terminal.write(GatewayConfiguration.example)
        case "reference": Terminal.write(ConfigurationReference.markdown)
        default:
            let configuration = try ConfigurationOption.load(arguments)
            Terminal.line(
                "\(arguments.text("config") ?? ""): good. \(configuration.upstreams.count) upstream(s), "
                    + "\(configuration.pairs.count) pair(s), \(configuration.models.count) model(s)")
        }
    }
}
