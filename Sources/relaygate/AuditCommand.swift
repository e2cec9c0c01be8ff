internal import Accounting
internal import Arguments
internal import Store

/// `relaygate audit`: whether the books are right.
enum AuditCommand {
    static let command = Arguments.Command(
        "audit", "check that budgets, leases and ledger agree",
        discussion: """
            Checks what must hold in the database, whatever crashed, in one snapshot and without writing, and prints each \
            invariant with the number of places where it does not hold, or - where the options leave it out: requests and \
            usage belong to no window. Ends with status 1 when there is one.
            """,
        options: [
            .value("tenant", .text, "NAME", "only this tenant's"),
            .value(
                "window", .text, "TIME", "only windows that begin then (UTC), such as 2026-11-01 or 2026-11-24T15:00"),
            ConfigurationOption.option, .flag("json", "print JSON"),
        ])

    static func run(_ arguments: ParsedArguments) throws(CommandExit) {
        let tenant = arguments.text("tenant")
        let start = try arguments.moment("window")
        let findings = try Database.use(try ConfigurationOption.connection(arguments)) { connection in
            if let tenant { _ = try await Administration(connection, now: Clock.now).tenant(tenant) }
            return try await Audit.run(connection, tenant: tenant, window: start)
        }
        let broken = findings.filter { $0.count ?? 0 > 0 }
        if arguments.flag("json") {
            let items = findings.map { finding in
                let samples = finding.samples.map(\.json).joined(separator: ",")
                return #"{"invariant":\#(finding.invariant.name.json),"meaning":\#(finding.invariant.meaning.json),"#
                    + #""broken":\#(finding.count.map(String.init) ?? "null"),"samples":[\#(samples)]}"#
            }
            Terminal.line("[" + items.joined(separator: ",\n ") + "]")
        } else {
            let rows = findings.map { [$0.invariant.name, $0.count.map(String.init) ?? "-", $0.invariant.meaning] }
            Terminal.write(Terminal.table(["invariant", "broken", "meaning"], rows, right: [1]))
            for finding in broken {
                for sample in finding.samples { Terminal.line("\(finding.invariant.name): \(sample)") }
            }
        }
        if !broken.isEmpty {
            throw .failure(
                "\(broken.map(\.invariant.name).joined(separator: ", ")) broken; do not adjust before you know why")
        }
    }
}
