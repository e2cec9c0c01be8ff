internal import Accounting
internal import Arguments
internal import Glibc
internal import Store
internal import Traces

/// `relaygate verdict`: whether answers were right.
enum VerdictCommand {
    static let command = Arguments.Command(
        "verdict", "import and list verdicts: whether answers were right",
        subcommands: [
            Command(
                "import", "load verdicts of one source from a file",
                discussion: """
                    JSONL with request_id, verdict (1 is right, 0 wrong, between them a share) and, where it is needed, \
                    choice, judged_at and note; or CSV whose first line names these columns. Stops at the first bad line; \
                    the lines before it are in. Running the same again changes nothing where judged_at is given.
                    """,
                options: [
                    .value("source", .text, "NAME", required: true, "who judged, such as unit-tests"),
                    .value(
                        "format", .choice(VerdictImport.Format.allCases.map(\.rawValue)), "FORMAT",
                        "jsonl or csv; by default what the file's name ends in"),
                    .flag("skip-bad", "go on behind bad lines, and end with status 1"),
                    .flag("dry-run", "only check the file"), ConfigurationOption.option,
                ], positionals: [Positional("file", "the file; - is standard input")]),
            Command(
                "list", "list what was said of a request",
                options: [
                    .value(
                        "request", .text, "ID", required: true, "the request's id or at least 8 of its first digits"),
                    ConfigurationOption.option, .flag("json", "print JSON"),
                ]),
        ])

    static func run(_ arguments: ParsedArguments) throws(CommandExit) {
        let connection = try ConfigurationOption.connection(arguments)
        if arguments.path.last == "list" { return try list(arguments, connection) }
        let path = arguments.positional("file") ?? "-"
        let source = arguments.text("source") ?? ""
        guard VerdictRecord.isSource(source) else {
            throw .badUsage("--source: must be 1 to 63 of a-z 0-9 . _ -, with a letter or digit at both ends")
        }
        let ending = path.split(separator: ".").last.map(String.init) ?? ""
        guard let format = VerdictImport.Format(rawValue: arguments.text("format") ?? ending) else {
            throw .badUsage("--format: is needed, because \(path.json) ends neither in .jsonl nor in .csv")
        }
        let file = try InputFile(path)
        let (skipsBad, isDryRun) = (arguments.flag("skip-bad"), arguments.flag("dry-run"))
        let outcome = try Database.use(connection) { database in
            let work = VerdictImport(database, format, source: source, now: Clock.now(), isDryRun: isDryRun) { fault in
                guard skipsBad else { throw fault }
                Terminal.write("\(fault)\n", to: STDERR_FILENO)
            }
            do {
                while let bytes = try file.read() { try await work.read(bytes) }
                try await work.finish()
                return (counts: work.counts, stopped: nil as TraceFault?)
            } catch let fault as TraceFault {
                return (counts: work.counts, stopped: fault)
            }
        }
        Terminal.line(
            "\(outcome.counts.written) verdict(s) of \(source) \(isDryRun ? "would be written" : "written"), "
                + "\(outcome.counts.bad) bad line(s)")
        if let fault = outcome.stopped {
            let what = String("\(fault)".reversed().drop { $0 == "." }.reversed())
            throw .failure("\(what); correct it and run the same again, or go on with --skip-bad")
        }
        if outcome.counts.bad > 0 { throw .failure("\(outcome.counts.bad) bad line(s) were skipped") }
    }

    private static func list(_ arguments: ParsedArguments, _ connection: String) throws(CommandExit) {
        let id = arguments.text("request") ?? ""
        let verdicts = try Database.use(connection) { database in
            try await Verdicts(database).list(try await TraceReader(database).show(id).request.id)
        }
        // They are sorted by choice and source, the latest first.
        let rows = verdicts.indices.map { index in
            let (verdict, before) = (verdicts[index], index > 0 ? verdicts[index - 1] : nil)
            return (verdict, before?.choice != verdict.choice || before?.source != verdict.source)
        }
        if arguments.flag("json") {
            let items = rows.map { verdict, counts in
                #"{"request_id":\#(verdict.request.description.json),"choice":\#(verdict.choice),"#
                    + #""source":\#(verdict.source.json),"verdict":\#(verdict.verdict),"#
                    + #""judged_at":\#(verdict.judged.rfc3339.json),"note":\#(verdict.note.json),"counts":\#(counts)}"#
            }
            return Terminal.line(BudgetText.list(items))
        }
        if rows.isEmpty { return Terminal.line("nobody has judged it") }
        let cells = rows.map { verdict, counts in
            [
                "\(verdict.choice)", verdict.source, "\(verdict.verdict)", UTCTime(verdict.judged).text,
                counts ? "yes" : "no, a later one does",
                verdict.note,
            ]
        }
        Terminal.write(
            Terminal.table(["choice", "source", "verdict", "judged (UTC)", "counts", "note"], cells, right: [0, 2]))
    }
}
