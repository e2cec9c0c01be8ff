internal import Accounting
internal import Arguments
internal import Configuration
internal import EmbeddedPostgres
internal import Foundation
internal import Gateway
internal import LocalModels
internal import LocalSystem
internal import Store
internal import Telemetry

/// `relaygate up`: the whole of it on one machine.
enum UpCommand {
    static let command = Arguments.Command(
        "up", "run everything on this machine: PostgreSQL, two local models, the gateway",
        discussion: """
            Starts a private PostgreSQL under --directory, fetches and starts two small models, starts the gateway and \
            prints its URL, an API key and a first request. Ctrl-C stops all of it in order; the data is kept.
            """,
        options: [
            .flag("demo", "send three questions, print the answers and their ledger, and exit"),
            .flag("models", "use your own model servers: --models URL_SLM URL_LLM"),
            .value(
                "pair", .choice(LocalPair.allCases.map(\.rawValue)), "PAIR", default: LocalPair.allCases[0].rawValue,
                "which local models: the small one + the large one"),
            .value(
                "config", .text, "FILE",
                "use the upstreams, pairs and models of this configuration; env:DATABASE_URL is the private PostgreSQL"),
            .value(
                "port", .integer(0...65535), "PORT", default: "8080", "where the gateway listens; 0 takes a free one"),
            .value("directory", .text, "DIR", default: ".relaygate", "where data, logs and the key are kept"),
        ],
        positionals: [Positional("url", required: false, repeats: true, "with --models: the servers' base URLs")])

    static func run(_ arguments: ParsedArguments) throws(CommandExit) {
        let urls = arguments.positionals("url")
        guard urls.count == (arguments.flag("models") ? 2 : 0) else {
            throw .badUsage("--models takes two URLs, first the small model's, then the large one's")
        }
        let stop = try StopSignal.install()
        let machine = try Machine.start(arguments, urls: urls)
        if arguments.flag("demo") {
            let result = Result { () throws(CommandExit) in try Demo(machine).run() }
            try machine.stop()
            return try result.get()
        }
        machine.printWelcome()
        machine.watchModels(stoppedBy: stop)
        stop.wait()
        Terminal.line("\nstopping: requests under way may end; a second Ctrl-C ends it at once")
        try machine.stop()
    }
}

/// Local models that go together.
enum LocalPair: String, CaseIterable {
    case smollm2Qwen05 = "smollm2+qwen05"
    case qwen05Qwen15 = "qwen05+qwen15"
    case smollm2Qwen15 = "smollm2+qwen15"

    var slm: LocalModel { self == .qwen05Qwen15 ? .qwen05 : .smollm2 }
    var llm: LocalModel { self == .smollm2Qwen05 ? .qwen05 : .qwen15 }
}

/// Everything that `up` has started, in the order in which it is stopped.
struct Machine {
    let running: RunningGateway
    let key: String
    let connection: String
    private let directory: String
    private let postgres: EmbeddedPostgres
    private let servers: [LocalModelServer]
    private let logger: Logger

    static func start(_ arguments: ParsedArguments, urls: [String]) throws(CommandExit) -> Machine {
        let port = UInt16(arguments.integer("port") ?? 8080)
        let progress = TerminalProgress()
        defer { progress.close() }
        do {
            // Known to fail is better found before the downloads.
            if port != 0 { try TCPPort.require(port) }
            let directory = absolute(arguments.text("directory") ?? ".relaygate")
            let postgres = try EmbeddedPostgres.start(directory: directory) { progress.show($0) }
            let applied = try Database.use(postgres.connectionString) { try await Migrator($0).apply() }
            if !applied.isEmpty { progress.show(.note("database: \(applied.count) migrations applied")) }
            var servers: [LocalModelServer] = []
            let text: String
            if let file = arguments.text("config") {
                text = try String(contentsOfFile: file, encoding: .utf8)
            } else {
                if urls.isEmpty { servers = try startModels(arguments, directory: directory, progress: progress) }
                text = LocalConfiguration.text(
                    port: port, connection: postgres.connectionString,
                    upstreams: urls.isEmpty ? servers.map(LocalConfiguration.Upstream.init) : try probe(urls))
                try text.write(toFile: directory + "/relaygate.yaml", atomically: true, encoding: .utf8)
            }
            var environment = ProcessInfo.processInfo.environment
            environment["DATABASE_URL"] = postgres.connectionString
            let configuration = try GatewayConfiguration.parse(
                text: text, fileName: arguments.text("config") ?? directory + "/relaygate.yaml",
                environment: environment)
            let key = try LocalKey.prepare(directory: directory, connection: postgres.connectionString)
            let logger = try fileLogger(configuration, directory: directory)
            let running = try RunningGateway.start(configuration, logger: logger)
            return Machine(
                running: running, key: key, connection: postgres.connectionString, directory: directory,
                postgres: postgres, servers: servers,
                logger: logger)
        } catch let exit as CommandExit {
            throw exit
        } catch {
            throw .failure("\(error)")
        }
    }

    /// Stops in the order of need: the gateway first, then the models, then the database.
    func stop() throws(CommandExit) {
        let isWritten = running.stop(logger)
        for server in servers { server.stop() }
        do throws(EmbeddedPostgresError) { try postgres.stop() } catch { throw .failure(error.description) }
        if !isWritten { throw .failure("stopped, but the ledger could not be written") }
    }

    func watchModels(stoppedBy stop: StopSignal) { ModelWatch.start(servers, stoppedBy: stop) }

    func printWelcome() {
        let model = running.configuration.models.first { $0.policy == "prompted" } ?? running.configuration.models[0]
        Terminal.write(
            """

            RelayGate is ready at \(running.url)
            API key: \(key)
            models:  \(running.configuration.models.map(\.name).joined(separator: ", "))

            Try:

            curl \(running.url)/chat/completions -H "Content-Type: application/json" \\
              -H "Authorization: Bearer \(key)" \\
              -d '{"model": "\(model.name)", "max_tokens": 200, "temperature": 0, "messages": [{"role": "user", \
            "content": "\(Demo.questions[2])"}]}'

            The ledger: \(CommandLine.arguments[0]) trace list --config \(directory)/relaygate.yaml
            Press Ctrl-C to stop.

            """)
    }

    private static func absolute(_ path: String) -> String {
        path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
    }

    private static func startModels(
        _ arguments: ParsedArguments, directory: String, progress: TerminalProgress
    ) throws -> [LocalModelServer] {
        let pair = arguments.text("pair").flatMap(LocalPair.init) ?? .smollm2Qwen05
        try LocalModels.prepare(models: [pair.slm, pair.llm]) { progress.show($0) }
        try FileManager.default.createDirectory(atPath: directory + "/log", withIntermediateDirectories: true)
        return try [(pair.slm, "slm"), (pair.llm, "llm")].map { model, role in
            try LocalModels.start(model: model, threads: 1, logFile: directory + "/log/\(role).log") {
                progress.show($0)
            }
        }
    }

    private static func probe(_ urls: [String]) throws(CommandExit) -> [LocalConfiguration.Upstream] {
        var upstreams: [LocalConfiguration.Upstream] = []
        for url in urls {
            let probe = try ServerProbe(url)
            Terminal.line("\(probe.url): model \(probe.model), dialect \(probe.dialect)")
            upstreams.append(LocalConfiguration.Upstream(probe))
        }
        return upstreams
    }

    /// The terminal is for the person: the log goes to a file.
    private static func fileLogger(_ configuration: GatewayConfiguration, directory: String) throws -> Logger {
        let path = directory + "/log/gateway.log"
        try FileManager.default.createDirectory(atPath: directory + "/log", withIntermediateDirectories: true)
        if !FileManager.default.fileExists(atPath: path) { try Data().write(to: URL(fileURLWithPath: path)) }
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        try file.seekToEnd()
        let fd = file.fileDescriptor
        return Logger(
            level: LogLevel(rawValue: configuration.log.level.rawValue) ?? .info,
            format: LogFormat(rawValue: configuration.log.format.rawValue) ?? .text,
            sink: { line in
                withExtendedLifetime(file) { Terminal.write(line, to: fd) }
            })
    }
}
