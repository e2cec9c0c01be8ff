internal import Accounting
internal import Arguments
internal import Store

/// `relaygate limit`: the rates of tenants and keys.
enum LimitCommand {
    /// The three rates, by the name of their option, which is also their name in the database.
    private static let rates: [(name: String, resource: Resource, window: BudgetWindow)] = [
        ("requests-per-minute", .requests, .minute), ("tokens-per-minute", .tokens, .minute),
        ("concurrent", .concurrency, .fixed),
    ]
    static let names = rates.map(\.name)
    private static let tenant = Positional("tenant", "whose limits they are")
    private static let key = Option.value("key", .text, "ID", "the public part of the API key that they are for")

    static let command = Arguments.Command(
        "limit", "set, list and remove rate limits",
        subcommands: [
            Command(
                "set", "limit a tenant or a key; in force on every gateway within two seconds",
                discussion: """
                    Gateways share a limit through leases. A request beyond it gets 429 and is told when to come again. \
                    Tokens are those of the answer's usage: the prompt, once, and what both models wrote.
                    """,
                options: [
                    .value("requests-per-minute", .text, "AMOUNT", "requests in a minute"),
                    .value("tokens-per-minute", .text, "AMOUNT", "tokens in a minute, such as 100k"),
                    .value("concurrent", .text, "AMOUNT", "requests at a time"), key,
                    .value("actor", .text, "NAME", "who does it; by default the user who runs this"),
                    ConfigurationOption.option,
                ], positionals: [tenant]),
            Command(
                "list", "list limits with what is used of them",
                options: [
                    .value("tenant", .text, "NAME", "only this tenant's"), ConfigurationOption.option,
                    .flag("json", "print JSON"),
                ]),
            Command(
                "remove", "lift a limit",
                options: [
                    .value("name", .choice(rates.map(\.name)), "NAME", required: true, "which"), key,
                    .value("actor", .text, "NAME", "who does it; by default the user who runs this"),
                    ConfigurationOption.option,
                ], positionals: [tenant]),
        ])

    static func run(_ arguments: ParsedArguments) throws(CommandExit) {
        let connection = try ConfigurationOption.connection(arguments)
        switch arguments.path.last {
        case "set": try set(arguments, connection)
        case "list":
            let tenant = arguments.text("tenant")
            let limits = try BudgetCommand.administer(connection) { try await $0.list(tenant: tenant, rates: true) }
            if arguments.flag("json") { return Terminal.line(BudgetText.list(limits.map(BudgetText.json))) }
            let rows = limits.map {
                [
                    $0.tenant, $0.key ?? "-", $0.name, BudgetText.grouped($0.amount),
                    BudgetText.grouped($0.used + $0.held),
                ]
            }
            Terminal.write(Terminal.table(["tenant", "key", "name", "amount", "taken"], rows, right: [3, 4]))
        default:
            let (tenant, name) = (arguments.positional("tenant") ?? "", arguments.text("name") ?? "")
            let (key, actor) = (arguments.text("key"), try BudgetCommand.actor(arguments))
            try BudgetCommand.administer(connection) { administration in
                let limit = try await administration.find(tenant: tenant, key: key, name: name, rates: true)
                try await administration.remove(limit, actor: actor, reason: "")
            }
            Terminal.line("limit \(name) of tenant \(tenant) is lifted; every gateway knows within 2 s")
        }
    }

    private static func set(_ arguments: ParsedArguments, _ connection: String) throws(CommandExit) {
        let (tenant, key) = (arguments.positional("tenant") ?? "", arguments.text("key"))
        var wishes: [BudgetWish] = []
        let actor = try BudgetCommand.actor(arguments)
        for rate in rates {
            guard let text = arguments.text(rate.name) else { continue }
            wishes.append(
                BudgetWish(
                    tenant: tenant, key: key, name: rate.name, resource: rate.resource, counts: .generated,
                    window: rate.window, amount: try BudgetText.amount(text, rate.name), onExhausted: .reject,
                    clamps: false, mode: .leased, thresholds: [], actor: actor, reason: ""))
        }
        guard !wishes.isEmpty else {
            throw .badUsage("name a limit: " + rates.map { "--" + $0.name }.joined(separator: ", "))
        }
        let all = wishes
        try BudgetCommand.administer(connection) { administration in
            for wish in all { _ = try await administration.set(wish) }
        }
        for wish in wishes {
            Terminal.line(
                "limit \(wish.name) of tenant \(tenant): \(BudgetText.grouped(wish.amount)); every gateway knows within 2 s"
            )
        }
    }
}
