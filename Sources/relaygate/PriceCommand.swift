internal import Accounting
internal import Arguments
internal import Configuration
internal import Notation
internal import Store

/// `relaygate price`: what models cost.
enum PriceCommand {
    private static let json = Option.flag("json", "print JSON")
    private static let actor = Option.value("actor", .text, "NAME", "who does it; by default the user who runs this")
    private static let reason = Option.value("reason", .text, "TEXT", "why, for the history")
    private static let file = Positional("file", "prices as CSV with a header, or as a JSON array; see Docs/prices.md")
    /// Options that are numbers, by their column in files.
    private static let numbers = [
        (option: "input", column: "input"), (option: "cached-input", column: "cached_input"),
        (option: "cache-write", column: "cache_write"), (option: "output", column: "output"),
        (option: "request", column: "request"),
    ]

    static let command = Arguments.Command(
        "price", "set, import and list what models cost",
        subcommands: [
            Command(
                "set", "set what a model costs from a date on",
                discussion: """
                    Prices are dollars for a million tokens with up to six decimals, such as 2.50. A request costs what \
                    held when it began; prices are never changed, a later one takes the place of an older. An upstream's \
                    own price comes before the one for all.
                    """,
                options: [
                    .value("input", .text, "PRICE", "a million prompt tokens; a price needs it, 0 is free"),
                    .value("output", .text, "PRICE", "a million generated tokens; a price needs it"),
                    .value(
                        "cached-input", .text, "PRICE", "prompt tokens from the server's cache; as --input if absent"),
                    .value(
                        "cache-write", .text, "PRICE", "prompt tokens written to that cache; as --input if absent"),
                    .value("request", .text, "DOLLARS", "dollars for each attempt that is served, not for a million"),
                    .value("upstream", .text, "NAME", "only at this upstream; at every one if absent"),
                    .value("from", .text, "TIME", default: "now", "since when (UTC), such as 2026-11-01; or now"),
                    .flag("unpriced", "from then on nobody knows what it costs"), reason, actor,
                    ConfigurationOption.option,
                ], positionals: [Positional("model", "the name of the model on its server")]),
            Command(
                "list", "list the prices in force",
                options: [
                    .value("model", .text, "MODEL", "only this model's"),
                    .value("at", .text, "TIME", "those in force then (UTC); now if absent"),
                    .flag("all", "the whole book, with its past and its future"), ConfigurationOption.option, json,
                ]),
            Command(
                "import", "add the prices of a file, all of them or none",
                options: [
                    .flag("dry-run", "check the file and write nothing"), reason, actor, ConfigurationOption.option,
                ], positionals: [file]),
            Command(
                "simulate", "show what requests would have cost by another price book",
                discussion: """
                    The file is the whole other book: a model that is not in it is unpriced. A price without a date held \
                    always. Changes nothing.
                    """,
                options: [
                    .value(
                        "from", .text, "TIME", required: true,
                        "requests that began at this time (UTC) or later, such as 2026-11-01 or last-month"),
                    .value("to", .text, "TIME", default: "now", "and before this one"),
                    .value("tenant", .text, "NAME", "only this tenant's"), UsageCommand.timeout,
                    ConfigurationOption.primary, ConfigurationOption.option, json,
                ], positionals: [file]),
        ])

    static func run(_ arguments: ParsedArguments) throws(CommandExit) {
        switch arguments.path.last {
        case "set": try set(arguments)
        case "import": try add(arguments)
        case "simulate": try simulate(arguments)
        default: try list(arguments)
        }
    }

    private static func use<Value: Sendable>(
        _ arguments: ParsedArguments, _ body: @escaping @Sendable (PriceBook) async throws -> Value
    ) throws(CommandExit) -> Value {
        try Database.use(ConfigurationOption.connection(arguments)) { try await body(PriceBook($0)) }
    }

    // MARK: set

    private static func set(_ arguments: ParsedArguments) throws(CommandExit) {
        let now = Moment.now
        let price = Price(
            model: arguments.positional("model") ?? "", upstream: arguments.text("upstream"),
            from: try arguments.moment("from", now: now) ?? now, rates: try rates(arguments))
        if let complaint = PriceText.complaint(name: price.model) { throw .badUsage("<model> \(complaint)") }
        if let complaint = price.upstream.flatMap(PriceText.complaint) { throw .badUsage("--upstream: \(complaint)") }
        let (actor, reason) = (try BudgetCommand.actor(arguments), arguments.text("reason") ?? "")
        let configuration = try ConfigurationOption.load(arguments)
        try use(arguments) { try await $0.set(price, actor: actor, reason: reason) }
        let what = price.rates.map { ": " + PriceText.sentence($0) } ?? " on: unpriced"
        Terminal.line(
            "price of \(price.model) at \(price.upstream.map { "upstream \($0)" } ?? "every upstream") from "
                + "\(UTCTime(price.from).text) UTC\(what)")
        if price.from < now { tellOfPast("that is in the past") }
        tellOfUnserved([price], configuration)
    }

    private static func rates(_ arguments: ParsedArguments) throws(CommandExit) -> PriceRates? {
        if arguments.flag("unpriced") {
            for number in numbers where arguments.text(number.option) != nil {
                throw .badUsage("--\(number.option): makes no sense with --unpriced")
            }
            return nil
        }
        for option in ["input", "output"] where arguments.text(option) == nil {
            throw .badUsage("--\(option): is missing; give a price, 0 if it is free, or --unpriced")
        }
        var values: [String: Int] = [:]
        for number in numbers {
            guard let text = arguments.text(number.option) else { continue }
            do throws(PriceText.Complaint) {
                values[number.column] =
                    try number.column == "request" ? PriceText.request(text) : PriceText.perMillion(text)
            } catch {
                throw .badUsage("--\(number.option): \(error.message)")
            }
        }
        return PriceRates(
            input: values["input"] ?? 0, cachedInput: values["cached_input"], cacheWrite: values["cache_write"],
            output: values["output"] ?? 0, request: values["request"])
    }

    private static func tellOfPast(_ what: String) {
        Terminal.line(
            "\(what): what is recorded keeps its cost; `relaygate price simulate` shows what it would have cost")
    }

    /// A price for a model that nobody serves is most likely a typing error.
    private static func tellOfUnserved(_ prices: [Price], _ configuration: GatewayConfiguration) {
        var told: Set<String> = []
        func tell(_ text: String) {
            if told.insert(text).inserted { Terminal.note(text) }
        }
        let models = configuration.upstreams.map(\.model)
        for price in prices {
            if let name = price.upstream {
                guard let upstream = configuration.upstream(named: name) else {
                    let nearest = NearestName.among(configuration.upstreams.map(\.name), to: name)
                    tell("the configuration has no upstream \(name.json)\(hint(nearest))")
                    continue
                }
                if upstream.model != price.model {
                    tell(
                        "the upstream \(name) of the configuration serves \(upstream.model.json), not \(price.model.json)"
                    )
                }
            } else if !models.contains(price.model) {
                let nearest = NearestName.among(models, to: price.model)
                tell("no upstream of the configuration serves \(price.model.json)\(hint(nearest))")
            }
        }
    }

    private static func hint(_ nearest: String?) -> String { nearest.map { "; did you mean \($0.json)?" } ?? "" }

    // MARK: list

    private static func list(_ arguments: ParsedArguments) throws(CommandExit) {
        let now = Clock.now()
        let (model, isAll) = (arguments.text("model"), arguments.flag("all"))
        let moment = try arguments.moment("at", now: now)
        if isAll, moment != nil { throw .badUsage("--at: makes no sense with --all") }
        let all = try use(arguments) { try await $0.list(model: model) }
        let records = isAll ? all : all.filter { $0.isInForce(at: moment ?? now) }
        if arguments.flag("json") { return Terminal.line(BudgetText.list(records.map(PriceText.json))) }
        let hidden = all.count - records.count
        if records.isEmpty {
            Terminal.line("no prices" + (model.map { " of \($0)" } ?? "") + (isAll ? "" : " in force"))
        } else {
            Terminal.write(PriceText.table(records, withHistory: isAll))
        }
        if hidden > 0 { Terminal.line("\(hidden) of other times; see them with --all") }
    }

    // MARK: import

    private static func add(_ arguments: ParsedArguments) throws(CommandExit) {
        let (path, isDryRun, now) = (arguments.positional("file") ?? "", arguments.flag("dry-run"), Moment.now)
        let (actor, reason) = (try BudgetCommand.actor(arguments), arguments.text("reason") ?? "")
        let configuration = try ConfigurationOption.load(arguments)
        let entries = try PriceFile.read(path, now: now, start: nil)
        let prices = entries.map(\.price)
        let findings = try use(arguments) {
            try await $0.add(prices, actor: actor, reason: reason, isDryRun: isDryRun)
        }
        var mistakes: [PriceFile.Mistake] = []
        for (entry, finding) in zip(entries, findings) {
            guard case .taken(let rates) = finding else { continue }
            mistakes.append(
                PriceFile.Mistake(
                    place: entry.place, column: "from",
                    message: "from \(entry.price.from.rfc3339) the book has another price "
                        + "(\(rates.map(PriceText.sentence) ?? PriceRow.unpriced)), and prices are never changed; give a "
                        + "later date"))
        }
        try PriceFile.stop(at: mistakes, path)
        let fresh = zip(prices, findings).filter { $0.1 == .new }.map(\.0)
        let same = prices.count - fresh.count
        Terminal.line(
            isDryRun
                ? "prices: \(fresh.count) to be added, \(same) unchanged; nothing was written"
                : "prices: \(fresh.count) added, \(same) unchanged")
        let past = fresh.filter { $0.from < now }.count
        if past > 0 { tellOfPast("\(past) of them begin\(past == 1 ? "s" : "") in the past") }
        tellOfUnserved(fresh, configuration)
    }

    // MARK: simulate

    private static func simulate(_ arguments: ParsedArguments) throws(CommandExit) {
        let (path, tenant, now) = (arguments.positional("file") ?? "", arguments.text("tenant"), Clock.now())
        let start = try arguments.moment("from", now: now) ?? now
        let end = try arguments.moment("to", now: now) ?? now
        guard start < end else { throw .badUsage("--to: must be later than --from") }
        let book = try PriceFile.read(path, now: now, start: Accounting.Timestamp(microseconds: 0)).map(\.price)
        let (usage, pruned) = try Database.report(arguments) { database, _ in
            (
                try await PriceBook(database).reprice(from: start, to: end, by: book, tenant: tenant),
                try await PrunedMonths.between(start, end, on: database)
            )
        }
        if let warning = pruned.warning { Terminal.note(warning) }
        guard let total = usage.last else { preconditionFailure("the sum is always there") }
        if arguments.flag("json") {
            let models = usage.dropLast().map(PriceText.json)
            return Terminal.line(
                #"{"from":\#(start.rfc3339.json),"to":\#(end.rfc3339.json),"tenant":\#(tenant?.json ?? "null"),"#
                    + #""total":\#(PriceText.json(total)),"models":\#(BudgetText.list(Array(models)))}"#)
        }
        if total.segments == 0 { return Terminal.line("no requests in that time") }
        Terminal.write(PriceText.table(usage))
        if total.recordedUnpriced + total.repricedUnpriced > 0 {
            Terminal.line(
                "what is unpriced is in no sum: where the counts differ, the sums are not of the same segments")
        }
    }
}

extension PriceRecord {
    /// Whether it is the entry of its model and upstream that holds at a time.
    fileprivate func isInForce(at moment: Accounting.Timestamp) -> Bool {
        price.from <= moment && until.map { moment < $0 } ?? true
    }
}
