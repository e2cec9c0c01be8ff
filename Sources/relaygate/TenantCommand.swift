internal import Accounting
internal import Arguments
internal import Store

/// `relaygate tenant`: who uses the gateway.
enum TenantCommand {
    private static let capture = Option.value(
        "capture", .choice(["none", "hashes", "text"]), "KIND", default: "none",
        "what the ledger keeps of prompts and answers")
    private static let json = Option.flag("json", "print JSON")
    private static let name = Positional("name", "1 to 63 lower-case letters, digits, dots, hyphens, underscores")

    static let command = Arguments.Command(
        "tenant", "create, list and change tenants",
        subcommands: [
            Command(
                "create", "make a tenant",
                options: [
                    capture,
                    .value("default-model", .text, "MODEL", "the model that answers to the name `default`"),
                    ConfigurationOption.option, json,
                ], positionals: [name]),
            Command("list", "list the tenants", options: [ConfigurationOption.option, json]),
            Command(
                "capture", "change what the ledger keeps of a tenant's text",
                options: [ConfigurationOption.option],
                positionals: [
                    name, Positional("kind", value: .choice(["none", "hashes", "text"]), "none, hashes or text"),
                ]),
            Command(
                "delete", "refuse a tenant's keys from now on; its ledger is kept",
                options: [ConfigurationOption.option], positionals: [name]),
        ])

    static func run(_ arguments: ParsedArguments) throws(CommandExit) {
        let connection = try ConfigurationOption.connection(arguments)
        switch arguments.path.last {
        case "create": try create(arguments, connection)
        case "list": try list(arguments, connection)
        case "capture":
            let (name, kind) = (arguments.positional("name") ?? "", arguments.positional("kind") ?? "")
            guard let capture = Capture(rawValue: kind) else { throw .badUsage("kind: none, hashes or text") }
            let tenant = try administer(connection) { (administration) async throws(StoreError) in
                try await administration.setCapture(capture, tenant: name)
            }
            Terminal.line("tenant \(tenant.name): capture \(tenant.capture.rawValue)")
        default:
            let name = arguments.positional("name") ?? ""
            let tenant = try administer(connection) { (administration) async throws(StoreError) in
                try await administration.deleteTenant(name)
            }
            Terminal.line("tenant \(tenant.name) is deleted: its keys are refused, its ledger is kept")
        }
    }

    /// Runs one piece of administration.
    static func administer<Value: Sendable>(
        _ connection: String, _ body: @escaping @Sendable (Administration) async throws(StoreError) -> Value
    ) throws(CommandExit) -> Value {
        try Database.use(connection) { try await body(Administration($0, now: Clock.now)) }
    }

    private static func create(_ arguments: ParsedArguments, _ connection: String) throws(CommandExit) {
        let name = arguments.positional("name") ?? ""
        let capture = Capture(rawValue: arguments.text("capture") ?? "") ?? .none
        let model = arguments.text("default-model")
        let tenant = try administer(connection) {
            (administration) async throws(StoreError) in
            try await administration.createTenant(name, capture: capture, defaultModel: model)
        }
        Terminal.line(arguments.flag("json") ? json(tenant) : "tenant \(tenant.name) created")
    }

    private static func list(_ arguments: ParsedArguments, _ connection: String) throws(CommandExit) {
        let tenants = try administer(connection) { (administration) async throws(StoreError) in
            try await administration.listTenants()
        }
        if arguments.flag("json") { return Terminal.line("[" + tenants.map(json).joined(separator: ",\n ") + "]") }
        let rows = tenants.map {
            [
                $0.name, $0.isActive ? "active" : "deleted", $0.capture.rawValue, $0.defaultModel ?? "-",
                UTCTime($0.created).text,
            ]
        }
        Terminal.write(Terminal.table(["name", "state", "capture", "default model", "created (UTC)"], rows))
    }

    private static func json(_ tenant: Tenant) -> String {
        #"{"id":\#(tenant.id.description.json),"name":\#(tenant.name.json),"active":\#(tenant.isActive),"#
            + #""capture":\#(tenant.capture.rawValue.json),"default_model":\#(tenant.defaultModel?.json ?? "null")}"#
    }
}
