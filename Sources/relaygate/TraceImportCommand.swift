internal import Arguments
internal import Glibc
internal import Reactor
internal import Store
internal import Traces

/// `relaygate trace import`.
enum TraceImportCommand {
    static let command = Arguments.Command(
        "import", "load requests of a trace file into the ledger",
        discussion: """
            Reads JSONL as `relaygate trace export` writes it. Requests that are there already, by their id, are left as \
            they are, so that running the same again goes on where it ended. Costs are counted anew with this \
            installation's prices. Reports tell apart the tags that the tenant has chosen before (`relaygate tenant tags`); \
            a note says which are others, with --dry-run beforehand. Stops at the first bad line; the lines before it are in.
            """,
        options: [
            .value("key", .text, "ID", required: true, "the public part of the API key whose requests they become"),
            .value("tenant", .text, "NAME", "that key's tenant; then lines of tenants with other names are taken, too"),
            .flag("skip-bad", "go on behind bad lines, and end with status 1"),
            .flag("dry-run", "only check the file"), ConfigurationOption.option,
        ], positionals: [Positional("file", "the file; - is standard input")])

    static func run(_ arguments: ParsedArguments) throws(CommandExit) {
        let connection = try ConfigurationOption.connection(arguments)
        let file = try InputFile(arguments.positional("file") ?? "-")
        let (key, tenant) = (arguments.text("key") ?? "", arguments.text("tenant"))
        let (skipsBad, isDryRun) = (arguments.flag("skip-bad"), arguments.flag("dry-run"))
        let outcome = try Database.use(connection) { database in
            let owner = try await TraceImport.Owner.find(key: key, tenant: tenant, in: database)
            let writer = isDryRun ? nil : try LedgerWriter.start(LedgerConfiguration(connection: connection))
            let work = TraceImport(database, writer: writer, owner: owner, now: Clock.now()) { fault in
                guard skipsBad else { throw fault }
                Terminal.write("\(fault)\n", to: STDERR_FILENO)
            }
            var stopped: TraceFault?
            do {
                var lines = LineReader()
                while let bytes = try file.read() {
                    for line in try lines.read(bytes) { try await work.take(line.bytes, number: line.number) }
                }
                if let line = lines.finish() { try await work.take(line.bytes, number: line.number) }
                try await work.flush()
            } catch let fault as TraceFault {
                stopped = fault
            } catch {
                await stop(writer)
                throw error
            }
            await stop(writer)
            return (counts: work.counts, stopped: stopped, otherKeys: work.otherKeys.sorted(), tenant: owner.tenantName)
        }
        let counts = outcome.counts
        Terminal.line(
            "\(counts.written) request(s) \(isDryRun ? "would be written" : "written"), \(counts.present) there already, "
                + "\(counts.verdicts) verdict(s), \(counts.bad) bad line(s)")
        tell(outcome.otherKeys, tenant: outcome.tenant, isDryRun: isDryRun)
        if let fault = outcome.stopped {
            throw .failure("\(fault); correct it and run the same again, or go on with --skip-bad")
        }
        if counts.bad > 0 { throw .failure("\(counts.bad) bad line(s) were skipped") }
    }

    /// Which tags no report will tell apart.
    private static func tell(_ keys: [String], tenant: String, isDryRun: Bool) {
        guard !keys.isEmpty else { return }
        let names = keys.prefix(8).map { Terminal.oneLine($0.json) }.joined(separator: ", ")
        let rest = keys.count - min(8, keys.count)
        let more = rest == 0 ? "" : " and \(keys.count == TraceImport.keyLimit ? "at least " : "")\(rest) more"
        Terminal.note(
            "tags \(names)\(more) are kept with the requests, and no report tells them apart, because tenant "
                + "\(tenant) has not chosen them; choose up to 8 \(isDryRun ? "" : "for requests that come later ")with: "
                + "relaygate tenant tags \(tenant) KEYS")
    }

    private static func stop(_ writer: LedgerWriter?) async {
        guard let writer else { return }
        _ = await writer.flush(within: .seconds(30))
        writer.stop()
    }
}
