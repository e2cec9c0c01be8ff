import Glibc

extension GatewayConfiguration {
    /// Reads and checks the file at `path`.
    ///
    /// - Parameters:
    ///   - path: Also the name that problems carry.
    ///   - environment: Where `env:NAME` is looked up.
    /// - Throws: `ConfigurationError` with every problem found.
    package static func load(
        path: String, environment: [String: String]
    ) throws(ConfigurationError) -> GatewayConfiguration {
        let text: String
        do {
            text = try TextFile.read(path, byteLimit: YAMLParser.byteLimit)
        } catch {
            throw ConfigurationError([
                .init(
                    code: .unreadable, fileName: path, line: 0, column: 0, path: "",
                    message: "cannot be read: \(error.message)")
            ])
        }
        return try parse(text: text, fileName: path, environment: environment)
    }

    /// Checks the text of a file.
    ///
    /// - Parameters:
    ///   - text: YAML.
    ///   - fileName: The name that problems carry.
    ///   - environment: Where `env:NAME` is looked up.
    ///   - processors: For `listen.loops: auto`; by default those of this machine.
    /// - Throws: `ConfigurationError` with every problem found; problems of YAML's syntax end the search.
    package static func parse(
        text: String, fileName: String = "relaygate.yaml", environment: [String: String],
        processors: Int = onlineProcessors
    ) throws(ConfigurationError) -> GatewayConfiguration {
        let problems = ProblemList(fileName: fileName)
        let root = YAMLParser.parse(text, problems: problems)
        guard problems.problems.isEmpty else { throw ConfigurationError(problems.problems) }
        let loader = ConfigurationLoader(
            problems: problems, environment: environment, processors: processors)
        let configuration = loader.load(root)
        guard problems.problems.isEmpty else { throw ConfigurationError(problems.problems) }
        return configuration
    }

    /// The processors of this machine that are running.
    package static var onlineProcessors: Int {
        max(1, sysconf(CInt(_SC_NPROCESSORS_ONLN)))
    }
}
