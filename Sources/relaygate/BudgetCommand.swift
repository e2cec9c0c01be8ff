internal import Accounting
internal import Arguments
internal import Glibc
internal import Store

/// `relaygate budget`: how many LLM tokens tenants may use.
enum BudgetCommand {
    private static let json = Option.flag("json", "print JSON")
    private static let tenant = Positional("tenant", "whose budget it is")
    private static let name = Option.value("name", .text, "NAME", required: true, "the budget's name")
    private static let key = Option.value("key", .text, "ID", "the public part of the API key that it is for")
    private static let actor = Option.value("actor", .text, "NAME", "who does it; by default the user who runs this")
    private static let reason = Option.value("reason", .text, "TEXT", "why, for the history")

    static let command = Arguments.Command(
        "budget", "set, show and correct budgets of LLM tokens",
        subcommands: [
            Command(
                "set", "make a budget or change it; in force on every gateway within two seconds",
                discussion: """
                    A tenant, or one of its keys, can have several budgets; a call needs tokens of each. What a budget \
                    counts and its window cannot change later. Options that are absent keep what is set.
                    """,
                options: [
                    name,
                    .value(
                        "tokens", .text, "AMOUNT", "tokens of a window, such as 50000, 50k or 1M; a new one needs it"),
                    .value(
                        "window", .choice(BudgetWindow.allCases.map(\.rawValue)), "WINDOW",
                        "minute, hour, day, week, month (UTC), or fixed: prepaid, never resets; day for a new one"),
                    key,
                    .value(
                        "counts", .choice(CountedTokens.allCases.map(\.rawValue)), "WHAT",
                        "generated tokens of the LLM, or billed ones: its prompts too; generated for a new one"),
                    .value(
                        "on-exhausted", .choice(OnExhausted.allCases.map(\.rawValue)), "WHAT",
                        "degrade: the SLM goes on alone; reject: 429 before the first byte; degrade for a new one"),
                    .value(
                        "clamp", .choice(["on", "off"]), "ON|OFF",
                        "whether a call may get fewer tokens than it asked for; on for a new one"),
                    .value(
                        "mode", .choice(HoldingMode.allCases.map(\.rawValue)), "MODE",
                        "leased, or strict: one durable row before each call; leased for a new one"),
                    .value(
                        "alert", .text, "PERCENTS",
                        "tell once in a window at these percents, such as 50,80,100; or none"),
                    reason, actor, ConfigurationOption.option,
                ], positionals: [tenant]),
            Command(
                "show", "show a tenant's budgets and who holds their tokens",
                options: [.value("name", .text, "NAME", "only this budget"), ConfigurationOption.option, json],
                positionals: [tenant]),
            Command(
                "list", "list budgets with what is used and left",
                options: [.value("tenant", .text, "NAME", "only this tenant's"), ConfigurationOption.option, json]),
            Command(
                "adjust", "correct what was used in a window",
                discussion: """
                    Adds tokens to what was charged, or takes them away when negative. With --unreconciled, takes away \
                    tokens of gateways that died, once somebody has proof that they were not used. Needs a reason.
                    """,
                options: [
                    name, .value("tokens", .text, "AMOUNT", required: true, "such as -500 or 2k"),
                    .value(
                        "window", .text, "TIME", "the window that holds this time (UTC); the current one by default"),
                    .value("reason", .text, "TEXT", required: true, "why, for the history"), key,
                    .flag("unreconciled", "correct what is charged without proof"), actor, ConfigurationOption.option,
                ], positionals: [tenant]),
            Command(
                "history", "show who changed budgets, how and why",
                options: [.value("name", .text, "NAME", "only this budget"), ConfigurationOption.option, json],
                positionals: [tenant]),
            Command(
                "remove", "take a budget out of force; its history stays",
                options: [name, key, reason, actor, ConfigurationOption.option], positionals: [tenant]),
        ])

    static func run(_ arguments: ParsedArguments) throws(CommandExit) {
        let connection = try ConfigurationOption.connection(arguments)
        switch arguments.path.last {
        case "set": try set(arguments, connection)
        case "show": try show(arguments, connection)
        case "list": try list(arguments, connection)
        case "adjust": try adjust(arguments, connection)
        case "history": try history(arguments, connection)
        default: try remove(arguments, connection)
        }
    }

    /// Runs one piece of the administration of budgets.
    static func administer<Value: Sendable>(
        _ connection: String, _ body: @escaping @Sendable (BudgetAdministration) async throws -> Value
    ) throws(CommandExit) -> Value {
        try Database.use(connection) { try await body(BudgetAdministration($0, now: Clock.now)) }
    }

    /// Who runs the program, for the history.
    static func actor(_ arguments: ParsedArguments) throws(CommandExit) -> String {
        if let given = arguments.text("actor") { return try note(given, "actor", limit: 200) }
        return user
    }

    /// Who runs the program, by name where there is one.
    static var user: String {
        for name in ["SUDO_USER", "USER", "LOGNAME"] {
            if let value = unsafe getenv(name).map({ unsafe String(cString: $0) }), !value.isEmpty {
                return String(value.prefix(200))
            }
        }
        if let user = unsafe getpwuid(getuid()) { return unsafe String(cString: user.pointee.pw_name) }
        return "uid \(getuid())"
    }

    /// A text for the history: something, and not endless.
    private static func note(_ text: String, _ option: String, limit: Int) throws(CommandExit) -> String {
        guard text.contains(where: { !$0.isWhitespace }), text.unicodeScalars.count <= limit else {
            throw .badUsage("--\(option): must be 1 to \(limit) characters, and not blank")
        }
        return text
    }

    /// The reason that was given; empty when none was.
    private static func reason(_ arguments: ParsedArguments) throws(CommandExit) -> String {
        try arguments.text("reason").map { (text) throws(CommandExit) in try note(text, "reason", limit: 2000) } ?? ""
    }

    /// A budget's name, as the database wants it, and none of the limits'.
    private static func budgetName(_ arguments: ParsedArguments) throws(CommandExit) -> String {
        let name = arguments.text("name") ?? ""
        guard name.wholeMatch(of: #/[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?/#) != nil else {
            throw .badUsage("--name: must be 1 to 63 of a-z 0-9 . _ -, with a letter or digit at both ends")
        }
        guard !LimitCommand.names.contains(name) else {
            throw .badUsage("--name: \(name) is the name of a limit; see `relaygate limit set --help`")
        }
        return name
    }

    private static func set(_ arguments: ParsedArguments, _ connection: String) throws(CommandExit) {
        let tenant = arguments.positional("tenant") ?? ""
        let name = try budgetName(arguments)
        let key = arguments.text("key")
        let amount = try arguments.text("tokens").map { (text) throws(CommandExit) in
            try BudgetText.amount(text, "tokens")
        }
        let thresholds = try arguments.text("alert").map(percents)
        let (actor, reason) = (try actor(arguments), try reason(arguments))
        let given = arguments
        let (what, held, old, now) = try Database.use(connection) { database in
            // Whether a standby is waited for, is for the gateways to judge.
            let hazards = try await DatabaseSafety.hazards(database, acceptsAsynchronousFailover: true)
            if !hazards.isEmpty {
                throw CommandExit.failure(
                    "this database cannot keep a hard budget: \(hazards.joined(separator: "; "))")
            }
            let administration = BudgetAdministration(database, now: Clock.now)
            let old = try await administration.list(tenant: tenant, name: name, rates: false).first { $0.key == key }
            guard let amount = amount ?? old?.amount else {
                throw CommandExit.badUsage("--tokens: is missing; a new budget needs an amount, such as 50k")
            }
            let wish = BudgetWish(
                tenant: tenant, key: key, name: name, resource: .llmTokens,
                counts: given.text("counts").flatMap(CountedTokens.init) ?? old?.counts ?? .generated,
                window: given.text("window").flatMap(BudgetWindow.init) ?? old?.window ?? .day, amount: amount,
                onExhausted: given.text("on-exhausted").flatMap(OnExhausted.init) ?? old?.onExhausted ?? .degrade,
                clamps: given.text("clamp").map { $0 == "on" } ?? old?.clamps ?? true,
                mode: given.text("mode").flatMap(HoldingMode.init) ?? old?.mode ?? .leased,
                thresholds: thresholds ?? old?.thresholds ?? [], actor: actor, reason: reason)
            let done = try await administration.set(wish)
            return (done.what, done.held, old, wish)
        }
        let before = old.map { $0.amount == now.amount ? "" : "\(BudgetText.grouped($0.amount)) -> " } ?? ""
        let window = now.window == .fixed ? "once" : "\(now.window == .hour ? "an" : "a") \(now.window.rawValue)"
        Terminal.line(
            "budget \(name) of tenant \(tenant) \(what): \(before)\(BudgetText.grouped(now.amount)) "
                + "\(now.counts.rawValue) LLM tokens \(window); every gateway knows within 2 s"
                + (held > 0 ? ", \(BudgetText.grouped(held)) tokens are out in leases until then" : ""))
    }

    private static func percents(_ text: String) throws(CommandExit) -> [Int] {
        if text == "none" { return [] }
        let numbers = text.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
        let values = numbers.compactMap(\.self)
        guard values.count == numbers.count, values.count <= 20, values.allSatisfy({ (1...100).contains($0) }) else {
            throw .badUsage(
                "--alert: must be percents from 1 to 100 with commas between them, such as 50,80,100, or none")
        }
        return Array(Set(values)).sorted()
    }

    private static func show(_ arguments: ParsedArguments, _ connection: String) throws(CommandExit) {
        let tenant = arguments.positional("tenant") ?? ""
        let name = arguments.text("name")
        let found = try administer(connection) { administration in
            var found: [(BudgetUsage, [LeaseRecord])] = []
            for budget in try await administration.list(tenant: tenant, name: name, rates: false) {
                found.append((budget, try await administration.leases(budget)))
            }
            if found.isEmpty, let name { _ = try await administration.find(tenant: tenant, key: nil, name: name) }
            return found
        }
        if arguments.flag("json") {
            let items = found.map { budget, leases in
                let list = leases.map { lease in
                    #"{"gateway":\#(lease.gateway.json),"granted":\#(lease.granted),"settled":\#(lease.settled),"#
                        + #""returned":\#(lease.returned)}"#
                }
                return String(BudgetText.json(budget).dropLast()) + #","leases":[\#(list.joined(separator: ","))]}"#
            }
            return Terminal.line(BudgetText.list(items))
        }
        if found.isEmpty { return Terminal.line("tenant \(tenant) has no budget: its use of the LLM is not limited") }
        Terminal.write(BudgetText.table(found.map(\.0)))
        for (budget, leases) in found {
            let label = budget.key.map { "\(budget.name) of key \($0)" } ?? budget.name
            let alerts =
                budget.thresholds.isEmpty ? "none" : budget.thresholds.map { "\($0) %" }.joined(separator: ", ")
            Terminal.line(
                "\(label): counts \(budget.counts.rawValue) tokens, clamp \(budget.clamps ? "on" : "off"), "
                    + "mode \(budget.mode.rawValue), alerts \(alerts)")
            for lease in leases {
                let held = lease.granted - lease.settled - lease.returned
                Terminal.line(
                    "\(label): gateway \(lease.gateway) holds \(BudgetText.grouped(held)), "
                        + "has used \(BudgetText.grouped(lease.settled))")
            }
            if budget.overrun > 0 {
                Terminal.line(
                    "\(label): servers sent \(BudgetText.grouped(budget.overrun)) tokens beyond the budget")
            }
        }
    }

    private static func list(_ arguments: ParsedArguments, _ connection: String) throws(CommandExit) {
        let tenant = arguments.text("tenant")
        let budgets = try administer(connection) { try await $0.list(tenant: tenant, rates: false) }
        if arguments.flag("json") { return Terminal.line(BudgetText.list(budgets.map(BudgetText.json))) }
        Terminal.write(BudgetText.table(budgets))
    }

    private static func adjust(_ arguments: ParsedArguments, _ connection: String) throws(CommandExit) {
        let (tenant, name, key) = (
            arguments.positional("tenant") ?? "", arguments.text("name") ?? "", arguments.text("key")
        )
        let text = arguments.text("tokens") ?? ""
        let magnitude = try BudgetText.amount(text.hasPrefix("-") ? String(text.dropFirst()) : text, "tokens")
        let tokens = text.hasPrefix("-") ? -magnitude : magnitude
        guard tokens != 0 else { throw .badUsage("--tokens: must not be 0") }
        let isUnreconciled = arguments.flag("unreconciled")
        guard !isUnreconciled || tokens < 0 else {
            throw .badUsage("--tokens: with --unreconciled only a negative number, such as -500, makes sense")
        }
        let (actor, reason) = (try actor(arguments), try reason(arguments))
        let moment = try arguments.moment("window")
        let after = try administer(connection) { administration in
            let budget = try await administration.find(tenant: tenant, key: key, name: name)
            return try await administration.adjust(
                budget, tokens: tokens, at: moment, isUnreconciled: isUnreconciled, actor: actor, reason: reason)
        }
        Terminal.line(
            "budget \(name) of tenant \(tenant): \(BudgetText.grouped(after.used)) used, "
                + "\(BudgetText.grouped(after.unreconciled)) unreconciled, \(BudgetText.grouped(after.left)) left")
    }

    private static func history(_ arguments: ParsedArguments, _ connection: String) throws(CommandExit) {
        let (tenant, name) = (arguments.positional("tenant") ?? "", arguments.text("name"))
        let entries = try administer(connection) { try await $0.history(tenant: tenant, name: name) }
        if arguments.flag("json") {
            return Terminal.line(
                BudgetText.list(
                    entries.map {
                        #"{"at":\#($0.at.rfc3339.json),"budget":\#($0.budget.json),"#
                            + #""key":\#($0.key?.json ?? "null"),"what":\#($0.what.json),"#
                            + #""detail":\#($0.detail.json),"actor":\#($0.actor.json),"reason":\#($0.reason.json)}"#
                    }))
        }
        let rows = entries.map {
            [UTCTime($0.at).text, $0.budget, $0.key ?? "-", $0.what, $0.detail, $0.actor, $0.reason]
        }
        Terminal.write(Terminal.table(["when (UTC)", "budget", "key", "what", "detail", "who", "why"], rows))
    }

    private static func remove(_ arguments: ParsedArguments, _ connection: String) throws(CommandExit) {
        let (tenant, name, key) = (
            arguments.positional("tenant") ?? "", arguments.text("name") ?? "", arguments.text("key")
        )
        let (actor, reason) = (try actor(arguments), try reason(arguments))
        try administer(connection) { administration in
            let budget = try await administration.find(tenant: tenant, key: key, name: name)
            try await administration.remove(budget, actor: actor, reason: reason)
        }
        Terminal.line("budget \(name) of tenant \(tenant) is removed; every gateway knows within 2 s")
    }
}
