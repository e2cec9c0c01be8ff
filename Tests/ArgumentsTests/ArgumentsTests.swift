import Arguments
import Testing

private let root = Command(
    "relaygate", "Serves the relay.",
    subcommands: [
        Command(
            "serve", "Runs the gateway.",
            options: [
                .value("config", .text, "FILE", default: "relaygate.yaml", "The configuration file."),
                .value("port", .integer(0...65535), "PORT", "Overrides listen.port."),
                .value("label", .text, "TEXT", repeats: true, "A label."),
                .value("ratio", .number(0...1), "R", "A share."),
                .value("wait", .duration, "TIME", default: "30s", "How long to wait."),
                .value("size", .bytes, "SIZE", default: "4MiB", "How much."),
                .value(
                    "format", .choice(["text", "json"]), "FORMAT", default: "text", "The log's format."),
                .flag("verbose", "Says more."),
            ]),
        Command(
            "tenant", "Manages tenants.",
            subcommands: [
                Command(
                    "create", "Makes a tenant.",
                    options: [
                        .value("budget", .integer(1...Int.max), "TOKENS", required: true, "LLM tokens per day.")
                    ],
                    positionals: [
                        Positional("name", "The tenant's name."),
                        Positional("note", required: false, "A note."),
                    ]),
                Command("list", "Lists tenants."),
            ]),
        Command(
            "run", "Runs a program.", positionals: [Positional("word", repeats: true, "The words.")]),
    ])

@Suite struct CommandParseTests {
    @Test("Values, defaults, flags and types")
    func values() throws {
        let arguments = try root.parse([
            "serve", "--port", "9000", "--label=a", "--label", "b", "--ratio=0.25", "--verbose",
            "--wait=250ms",
        ])
        #expect(arguments.path == ["serve"])
        #expect(arguments.integer("port") == 9000)
        #expect(arguments.texts("label") == ["a", "b"])
        #expect(arguments.number("ratio") == 0.25)
        #expect(arguments.flag("verbose"))
        #expect(arguments.duration("wait") == .milliseconds(250))
        #expect(arguments.bytes("size") == 4_194_304)
        #expect(arguments.text("config") == "relaygate.yaml")
        #expect(arguments.text("format") == "text")
    }

    @Test("Absent options without default are nil")
    func absent() throws {
        let arguments = try root.parse(["serve"])
        #expect(arguments.integer("port") == nil)
        #expect(arguments.texts("label").isEmpty)
        #expect(!arguments.flag("verbose"))
    }

    @Test("Two levels of commands, options and positionals in any order, negative words behind --")
    func positionals() throws {
        let first = try root.parse(["tenant", "create", "acme", "--budget", "5", "hello"])
        #expect(first.path == ["tenant", "create"])
        #expect(first.positional("name") == "acme")
        #expect(first.positional("note") == "hello")
        let second = try root.parse(["tenant", "create", "--budget=5", "--", "--help"])
        #expect(second.positional("name") == "--help")
        #expect(second.positional("note") == nil)
        #expect(
            try root.parse(["run", "a", "--", "-b", "--c"]).positionals("word") == ["a", "-b", "--c"])
    }

    @Test("A word that names no subcommand is a positional argument where the command runs without one")
    func wordOrSubcommand() throws {
        let command = Command(
            "tool", "Works.",
            subcommands: [
                Command(
                    "ask", "Asks.", positionals: [Positional("file", required: false, "A file.")],
                    subcommands: [Command("merge", "Merges.", positionals: [Positional("part", "A part.")])],
                    runsWithoutSubcommand: true)
            ])
        let asked = try command.parse(["ask", "question.yaml"])
        #expect(asked.path == ["ask"])
        #expect(asked.positional("file") == "question.yaml")
        let merged = try command.parse(["ask", "merge", "question.yaml"])
        #expect(merged.path == ["ask", "merge"])
        #expect(merged.positional("part") == "question.yaml")
        // A file with a subcommand's name is given behind the end of options.
        #expect(try command.parse(["ask", "--", "merge"]).positional("file") == "merge")
        #expect(throws: CommandExit.self) { try command.parse(["ask", "one", "two"]) }
    }

    @Test("A value may contain = and may begin with one dash")
    func valueForms() throws {
        #expect(try root.parse(["serve", "--label=a=b"]).texts("label") == ["a=b"])
        #expect(try root.parse(["serve", "--label", "-x"]).texts("label") == ["-x"])
        #expect(try root.parse(["serve", "--label=--x"]).texts("label") == ["--x"])
    }

    struct BadCase: Sendable, CustomTestStringConvertible {
        let arguments: String
        let message: String
        let help: String
        var testDescription: String { arguments.isEmpty ? "nothing" : arguments }
    }

    @Test(
        "Bad usage says what is wrong, the nearest name, and where help is",
        arguments: [
            BadCase(
                arguments: "", message: "relaygate: a command is required: serve, tenant, run",
                help: "relaygate"),
            BadCase(
                arguments: "serv", message: "relaygate: unknown command \"serv\", did you mean \"serve\"?",
                help: "relaygate"),
            BadCase(
                arguments: "banana",
                message: "relaygate: unknown command \"banana\", known are serve, tenant, run",
                help: "relaygate"),
            BadCase(
                arguments: "tenant creat",
                message: "relaygate tenant: unknown command \"creat\", did you mean \"create\"?",
                help: "relaygate tenant"),
            BadCase(
                arguments: "tenant", message: "relaygate tenant: a command is required: create, list",
                help: "relaygate tenant"),
            BadCase(
                arguments: "serve --prot 1",
                message: "relaygate serve: unknown option \"--prot\", did you mean \"--port\"?",
                help: "relaygate serve"),
            BadCase(
                arguments: "serve -p",
                message: "relaygate serve: unknown option \"-p\"; options have two dashes, except -h",
                help: "relaygate serve"),
            BadCase(
                arguments: "serve --port", message: "relaygate serve: --port needs a value: --port PORT",
                help: "relaygate serve"),
            BadCase(
                arguments: "serve --port --verbose",
                message: "relaygate serve: --port needs a value: --port PORT",
                help: "relaygate serve"),
            BadCase(
                arguments: "serve --port 70000",
                message: "relaygate serve: --port must be a whole number from 0 to 65535, not \"70000\"",
                help: "relaygate serve"),
            BadCase(
                arguments: "serve --port 99999999999999999999",
                message:
                    "relaygate serve: --port must be a whole number from 0 to 65535, not \"99999999999999999999\"",
                help: "relaygate serve"),
            BadCase(
                arguments: "serve --ratio nan",
                message: "relaygate serve: --ratio must be a number from 0.0 to 1.0, not \"nan\"",
                help: "relaygate serve"),
            BadCase(
                arguments: "serve --port 1 --port 2", message: "relaygate serve: --port is given twice",
                help: "relaygate serve"),
            BadCase(
                arguments: "serve --verbose=yes", message: "relaygate serve: --verbose takes no value",
                help: "relaygate serve"),
            BadCase(
                arguments: "serve --verbose --verbose",
                message: "relaygate serve: --verbose is given twice",
                help: "relaygate serve"),
            BadCase(
                arguments: "serve --config=", message: "relaygate serve: --config must not be empty",
                help: "relaygate serve"),
            BadCase(
                arguments: "serve --format jsn",
                message:
                    "relaygate serve: --format must be text, json, not \"jsn\", did you mean \"json\"?",
                help: "relaygate serve"),
            BadCase(
                arguments: "serve extra", message: "relaygate serve: unexpected argument \"extra\"",
                help: "relaygate serve"),
            BadCase(
                arguments: "tenant create acme", message: "relaygate tenant create: --budget is required",
                help: "relaygate tenant create"),
            BadCase(
                arguments: "tenant create --budget 1",
                message: "relaygate tenant create: <name> is required",
                help: "relaygate tenant create"),
            BadCase(
                arguments: "tenant create --budget 0 a",
                message:
                    "relaygate tenant create: --budget must be a whole number of at least 1, not \"0\"",
                help: "relaygate tenant create"),
            BadCase(
                arguments: "help serve banana", message: "relaygate serve: unknown command \"banana\"",
                help: "relaygate serve"),
        ])
    func badUsage(_ test: BadCase) {
        let words = test.arguments.split(separator: " ").map(String.init)
        let error = #expect(throws: CommandExit.self) { try root.parse(words) }
        #expect(error?.code == .badUsage)
        #expect(error?.exitCode == 64)
        #expect(error?.goesToStandardOutput == false)
        #expect(error?.text == "error: \(test.message)\nRun '\(test.help) --help' for help.")
    }

    @Test(
        "Help is asked for in every usual way and wins over other errors",
        arguments: ["serve --help", "serve -h", "help serve", "serve --port x --help"])
    func help(_ line: String) throws {
        let error = #expect(throws: CommandExit.self) {
            try root.parse(line.split(separator: " ").map(String.init))
        }
        #expect(error?.code == .help)
        #expect(error?.exitCode == 0)
        #expect(error?.goesToStandardOutput == true)
        #expect(error?.text.hasPrefix("Usage: relaygate serve [options]\n") == true)
    }

    @Test("The help of the root lists commands")
    func rootHelp() {
        let expected = """
            Usage: relaygate <command>

            Serves the relay.

            Commands:
              serve                       Runs the gateway.
              tenant                      Manages tenants.
              run                         Runs a program.

            Options:
              -h, --help                  show this help

            Run 'relaygate <command> --help' for the options of a command.
            """
        for words in [["--help"], ["-h"], ["help"]] {
            #expect(throws: CommandExit.help(expected)) { try root.parse(words) }
        }
    }

    @Test("The help of a command shows usage, arguments, options, defaults and what is required")
    func commandHelp() {
        let expected = """
            Usage: relaygate tenant create --budget TOKENS <name> [<note>]

            Makes a tenant.

            Arguments:
              <name>                      The tenant's name.
              <note>                      A note.

            Options:
              --budget TOKENS             LLM tokens per day. (required)
              -h, --help                  show this help
            """
        #expect(throws: CommandExit.help(expected)) { try root.parse(["tenant", "create", "--help"]) }
    }

    @Test("Help texts stay within 100 columns")
    func columns() throws {
        let long = Command(
            "x", String(repeating: "word ", count: 60),
            options: [
                .value(
                    "a-very-long-option-name-that-fills-it", .choice(["a", "b"]), "VALUE", default: "a",
                    String(repeating: "word ", count: 60))
            ])
        let text = long.helpText(invocation: "x")
        #expect(text.split(separator: "\n").allSatisfy { $0.count <= 100 })
        #expect(text.contains("(one of a, b; default a)"))
    }

    @Test("Control characters of the command line do not reach the terminal")
    func escapes() {
        let error = #expect(throws: CommandExit.self) { try root.parse(["\u{1B}[2J\n"]) }
        #expect(error?.text.contains("\u{1B}") == false)
    }

    @Test("A failure goes to standard error with exit code 1")
    func failure() {
        let exit = CommandExit.failure("no database")
        #expect(exit.exitCode == 1)
        #expect(!exit.goesToStandardOutput)
        #expect(exit.text == "error: no database")
    }

    @Test("Asking for an undeclared name is a defect and traps")
    func undeclared() async {
        await #expect(processExitsWith: .failure) {
            _ = try Command("x", "X.").parse([]).text("nothing")
        }
    }

    @Test("A declaration that contradicts itself traps")
    func contradiction() async {
        await #expect(processExitsWith: .failure) {
            _ = Command("x", "X.", options: [.flag("a", "A."), .flag("a", "B.")])
        }
    }
}
