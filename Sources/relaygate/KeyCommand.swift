internal import Accounting
internal import Arguments
internal import Store

/// `relaygate key`: the keys of tenants.
enum KeyCommand {
    private static let json = Option.flag("json", "print JSON")

    static let command = Arguments.Command(
        "key", "create, list and revoke API keys",
        subcommands: [
            Command(
                "create", "make a key; its secret is shown this once",
                options: [
                    .value("tenant", .text, "NAME", required: true, "whose key it is"),
                    .value("label", .text, "TEXT", default: "default", "what it is for"),
                    .value(
                        "scope", .choice(Administration.scopes), "SCOPE", repeats: true,
                        "what it may do; inference without this option"),
                    .value("expires-in", .duration, "TIME", "when it ends by itself, such as 30d; never by default"),
                    ConfigurationOption.option, json,
                ]),
            Command(
                "list", "list keys without their secrets",
                options: [
                    .value("tenant", .text, "NAME", "only this tenant's"), ConfigurationOption.option, json,
                ]),
            Command(
                "revoke", "refuse a key from now on, everywhere within two seconds",
                options: [ConfigurationOption.option],
                positionals: [Positional("id", "the key's public part, as `key list` shows it")]),
        ])

    static func run(_ arguments: ParsedArguments) throws(CommandExit) {
        let connection = try ConfigurationOption.connection(arguments)
        switch arguments.path.last {
        case "create": try create(arguments, connection)
        case "list": try list(arguments, connection)
        default:
            let id = arguments.positional("id") ?? ""
            let key = try TenantCommand.administer(connection) { (administration) async throws(StoreError) in
                try await administration.revokeKey(id)
            }
            Terminal.line("key \(key.publicID) of tenant \(key.tenant) is revoked")
        }
    }

    private static func create(_ arguments: ParsedArguments, _ connection: String) throws(CommandExit) {
        let tenant = arguments.text("tenant") ?? ""
        let label = arguments.text("label") ?? ""
        let given = arguments.texts("scope")
        let scopes = given.isEmpty ? ["inference"] : given
        let expires = arguments.duration("expires-in").map { life in
            Accounting.Timestamp(microseconds: Clock.now().microseconds + life.components.seconds * 1_000_000)
        }
        if let expires, expires <= Clock.now() { throw .badUsage("--expires-in: must be longer than nothing") }
        guard label.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F }) else {
            throw .badUsage("--label: must hold no control characters")
        }
        let created = try TenantCommand.administer(connection) { (administration) async throws(StoreError) in
            try await administration.createKey(tenant: tenant, label: label, scopes: scopes, expires: expires)
        }
        if arguments.flag("json") {
            Terminal.line(
                #"{"id":\#(created.key.publicID.json),"tenant":\#(created.key.tenant.json),"key":\#(created.secret.json)}"#
            )
        } else {
            Terminal.line(created.secret)
            Terminal.line("Keep it: it is not shown again. Its public part is \(created.key.publicID).")
        }
    }

    private static func list(_ arguments: ParsedArguments, _ connection: String) throws(CommandExit) {
        let tenant = arguments.text("tenant")
        let keys = try TenantCommand.administer(connection) { (administration) async throws(StoreError) in
            try await administration.listKeys(tenant: tenant)
        }
        if arguments.flag("json") { return Terminal.line("[" + keys.map(json).joined(separator: ",\n ") + "]") }
        let rows = keys.map {
            [
                $0.publicID, $0.tenant, $0.label, $0.scopes.joined(separator: ","), UTCTime($0.created).text,
                $0.revoked.map { "revoked " + UTCTime($0).text }
                    ?? $0.expires.map { ($0 <= Clock.now() ? "expired " : "until ") + UTCTime($0).text } ?? "valid",
            ]
        }
        Terminal.write(Terminal.table(["id", "tenant", "label", "scopes", "created (UTC)", "state"], rows))
    }

    private static func json(_ key: KeyRecord) -> String {
        let expires = key.expires.map { "\($0.microseconds / 1000)" } ?? "null"
        return #"{"id":\#(key.publicID.json),"tenant":\#(key.tenant.json),"label":\#(key.label.json),"#
            + #""scopes":[\#(key.scopes.map(\.json).joined(separator: ","))],"#
            + #""created_ms":\#(key.created.microseconds / 1000),"expires_ms":\#(expires),"revoked":\#(key.revoked != nil)}"#
    }
}
