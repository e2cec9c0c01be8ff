internal import Accounting
internal import Arguments
internal import Glibc
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
                "tags", "choose what callers say of their requests becomes a dimension of reports",
                discussion: """
                    Keys are members of a request's `metadata`, and `user`. Of the chosen ones the ledger keeps the values \
                    and reports tell them apart: the first --limit values of each key; what comes later is `other`. In \
                    force on every gateway within two seconds, for requests that come then.
                    """,
                options: [
                    .value(
                        "limit", .integer(1...100_000), "COUNT", "values of a key that are told apart; 1000 at first"),
                    ConfigurationOption.option,
                ],
                positionals: [
                    name,
                    Positional("keys", "up to 8 of at most 128 bytes, with commas between, such as team,user; or none"),
                ]),
            Command(
                "delete", "refuse a tenant's keys from now on; its ledger is kept",
                options: [ConfigurationOption.option], positionals: [name]),
            Command(
                "forget", "delete what the ledger knows of a tenant's users; counts and costs stay",
                discussion: """
                    Deletes hashes and text of prompts and answers, tags and the notes of verdicts; in reports the values \
                    of tags become one. With --user only what belongs to requests whose tag user is ID. Who did it, \
                    when and how much is kept. Nothing brings it back.
                    """,
                options: [
                    .value("user", .text, "ID", "only this user's requests, by the tag user"),
                    .value("reason", .text, "TEXT", "why, for the record"),
                    .value("actor", .text, "NAME", "who does it; by default the user who runs this"),
                    .flag("yes", "do it without asking"), ConfigurationOption.option, json,
                ], positionals: [name]),
        ])

    static func run(_ arguments: ParsedArguments) throws(CommandExit) {
        let connection = try ConfigurationOption.connection(arguments)
        switch arguments.path.last {
        case "create": try create(arguments, connection)
        case "list": try list(arguments, connection)
        case "forget": try forget(arguments, connection)
        case "tags": try chooseTags(arguments, connection)
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

    private static func chooseTags(_ arguments: ParsedArguments, _ connection: String) throws(CommandExit) {
        let (name, text) = (arguments.positional("name") ?? "", arguments.positional("keys") ?? "")
        let keys = text == "none" ? [] : text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        guard keys.count <= 8, Set(keys).count == keys.count,
            keys.allSatisfy({ (1...64).contains($0.unicodeScalars.count) && $0.utf8.count <= 128 }),
            keys.allSatisfy({ $0.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control } })
        else {
            throw .badUsage(
                "keys: up to 8 different ones of 1 to 64 characters, in UTF-8 at most 128 bytes each and without "
                    + "control characters, with commas between, or none")
        }
        let limit = arguments.integer("limit")
        let set = try administer(connection) { (administration) async throws(StoreError) in
            try await administration.setTags(keys, limit: limit, tenant: name)
        }
        let what = keys.isEmpty ? "none" : keys.joined(separator: ", ")
        Terminal.line("tenant \(name): tags \(what); the first \(set) values of each are told apart")
    }

    private static func forget(_ arguments: ParsedArguments, _ connection: String) throws(CommandExit) {
        let (name, user) = (arguments.positional("name") ?? "", arguments.text("user"))
        let (actor, reason) = (try BudgetCommand.actor(arguments), arguments.text("reason") ?? "")
        let whose = user.map { "user \($0.json) of tenant \(name)" } ?? "tenant \(name)"
        if !arguments.flag("yes") {
            guard isatty(STDIN_FILENO) == 1 else {
                throw .badUsage("--yes: is needed where nobody can be asked: forgetting \(whose) cannot be undone")
            }
            Terminal.write("Forget \(whose)? This cannot be undone. Type the tenant's name: ", to: STDERR_FILENO)
            guard readLine() == name else { throw .failure("nothing was done") }
        }
        let counts = try Database.use(connection) { database in
            try await Forgetting(database).forget(tenant: name, user: user, actor: actor, reason: reason) { seen in
                guard isatty(STDERR_FILENO) == 1 else { return }
                Terminal.write("\r\(BudgetText.grouped(seen)) requests looked at", to: STDERR_FILENO)
            }
        }
        if isatty(STDERR_FILENO) == 1 { Terminal.write("\n", to: STDERR_FILENO) }
        if let user, counts == ForgettingCounts() {
            Terminal.note(
                "nothing of user \(user.json) was found: either it was forgotten before, or the id is another, or requests "
                    + "did not carry it in `user`")
        }
        if arguments.flag("json") {
            return Terminal.line(
                #"{"requests":\#(counts.requests),"payloads":\#(counts.payloads),"notes":\#(counts.notes),"#
                    + #""usage_rows":\#(counts.usageRows),"dead_letters":\#(counts.deadLetters)}"#)
        }
        Terminal.line(
            "\(whose) is forgotten: tags of \(counts.requests) request(s), \(counts.payloads) text(s) or hash(es), "
                + "\(counts.notes) note(s), labels of \(counts.usageRows) row(s) of usage, "
                + "\(counts.deadLetters) dead letter(s)")
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
