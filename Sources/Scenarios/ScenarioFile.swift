internal import Accounting
package import Configuration
package import Simulator

/// A scenario file: the question and where the data are.
package struct ScenarioFile: Sendable, Equatable {
    /// Where the data are.
    package enum Source: Sendable, Equatable {
        /// Trace files, as the file names them.
        case traces([String])
        /// A pair table, and which of its columns hold what when their names do not say.
        case pairs(String, columns: String?)
        /// Published rows: accuracies and call ratios of systems.
        case rows(String)
        case ledger
        case paper
    }

    /// A key at the top of the file.
    package struct Key: Sendable, Equatable {
        package var name: String
        package var position: Position
    }

    package var scenario: Scenario
    /// Nil when the file leaves it to the command line.
    package var source: Source?
    /// The keys of the question that the file has: all but its title and its source.
    package var questions: [Key]

    /// Reads and checks a file; names in it are made relative to its folder.
    ///
    /// - Throws: `ConfigurationError` with every problem found.
    package static func load(path: String) throws(ConfigurationError) -> (file: ScenarioFile, text: String) {
        let text: String
        do {
            text = try TextFile.read(path, byteLimit: YAMLParser.byteLimit)
        } catch {
            let problems = ProblemList(fileName: path)
            problems.add(.unreadable, at: Position(line: 0, column: 0), path: "", "cannot be read: \(error.message)")
            throw ConfigurationError(problems.problems)
        }
        return (try parse(text: text, fileName: path), text)
    }

    /// Checks the text of a file.
    ///
    /// - Parameter fileName: the name that problems carry; files beside it are found by it.
    /// - Throws: `ConfigurationError` with every problem found; problems of YAML's syntax end the search.
    package static func parse(text: String, fileName: String) throws(ConfigurationError) -> ScenarioFile {
        let problems = ProblemList(fileName: fileName)
        let root = YAMLParser.parse(text, problems: problems)
        if root == nil, problems.problems.isEmpty {
            problems.add(.syntax, at: .start, path: "", "the file is empty; write at least source and policies")
        }
        guard problems.problems.isEmpty else { throw ConfigurationError(problems.problems) }
        var loader = ScenarioLoader(problems: problems, fileName: fileName)
        let file = loader.load(root)
        guard problems.problems.isEmpty else { throw ConfigurationError(problems.problems) }
        return file
    }
}

/// Builds a scenario from its file, adding every problem it meets.
struct ScenarioLoader {
    let problems: ProblemList
    let fileName: String

    mutating func load(_ root: YAMLNode?) -> ScenarioFile {
        var reader = SectionReader(
            root, path: "", referencePath: "", position: .start, problems: problems, table: ScenarioReference.table)
        let name = fileName.split(separator: "/").last.map(String.init) ?? fileName
        var scenario = Scenario(title: reader.textIfPresent("title") ?? name)
        let source = source(&reader)
        let keys = ScenarioReference.entries.map(\.path).filter { !$0.contains(".") && $0 != "title" && $0 != "source" }
        let questions = keys.filter(reader.has).map { ScenarioFile.Key(name: $0, position: reader.position(of: $0)) }
        scenario.selection = selection(&reader)
        scenario.policies = policies(&reader)
        scenario.costModels = costModels(&reader)
        if let matched = reader.choice("matched", MatchedQuantity.self) { scenario.matched = matched }
        scenario.verdictSource = reader.textIfPresent("verdict_source")
        scenario.groupBy = reader.textIfPresent("group_by")
        if let cluster = Cluster(reader.text("cluster")) {
            scenario.cluster = cluster
        } else {
            reader.add(.outOfRange, "cluster", "must be request, tenant or tag:NAME, such as tag:question_id")
        }
        scenario.seed = UInt64(clamping: reader.integer("seed"))
        scenario.replicates = reader.integer("replicates")
        scenario.train = train(&reader)
        var limits = reader.section("relay")
        scenario.relay = RelayLimits(
            calls: limits.integer("max_calls"), callTokens: limits.integer("max_call_tokens"),
            malformed: limits.integer("max_malformed"), answerTokens: limits.integerIfPresent("max_tokens"),
            budgetsRefuse: limits.booleanIfPresent("budgets_refuse") ?? false)
        limits.finish()
        reader.finish()
        return ScenarioFile(scenario: scenario, source: source, questions: questions)
    }

    private func train(_ reader: inout SectionReader) -> TrainSplit? {
        let isGiven = reader.has("train")
        var section = reader.section("train")
        var split = TrainSplit(order: section.choice("order", TrainSplit.Order.self))
        if let share = section.numberIfPresent("share") { split.share = share }
        section.finish()
        return isGiven ? split : nil
    }

    private func source(_ reader: inout SectionReader) -> ScenarioFile.Source? {
        let isGiven = reader.has("source")
        var section = reader.section("source")
        let traces = section.names("traces").map { resolved($0.name) }
        let pairs = section.textIfPresent("pairs").map(resolved)
        let rows = section.textIfPresent("rows").map(resolved)
        let columns = section.textIfPresent("columns")
        let ledger = section.booleanIfPresent("ledger") ?? false
        let paper = section.booleanIfPresent("paper") ?? false
        section.finish()
        let kinds = ["traces", "pairs", "rows", "ledger", "paper"].filter(section.has)
        guard isGiven else { return nil }
        guard kinds.count == 1 else {
            let message = kinds.isEmpty ? "names none" : "names \(kinds.joined(separator: " and "))"
            reader.add(.missing, "source", "\(message); give one of traces, pairs, rows, ledger and paper")
            return nil
        }
        if columns != nil, pairs == nil {
            section.add(.danglingReference, "columns", "belongs to pairs, which is missing")
        }
        if let pairs { return .pairs(pairs, columns: columns) }
        if let rows { return .rows(rows) }
        if section.has("traces") { return .traces(traces) }
        if !ledger, !paper { section.add(.outOfRange, kinds[0], "must be true; leave it out otherwise") }
        return paper ? .paper : .ledger
    }

    private func resolved(_ name: String) -> String {
        guard !name.hasPrefix("/"), let slash = fileName.lastIndex(of: "/") else { return name }
        return String(fileName[...slash]) + name
    }

    private func selection(_ reader: inout SectionReader) -> TraceSelection {
        var section = reader.section("select")
        var selection = TraceSelection()
        selection.from = time(&section, "from")
        selection.to = time(&section, "to")
        if let from = selection.from, let to = selection.to, from >= to {
            section.add(.outOfRange, "to", "must be after select.from")
        }
        selection.tenants = section.names("tenants").map(\.name)
        selection.policies = section.names("policies").map(\.name)
        for (name, path, position) in section.names("tags") {
            let parts = name.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 2, !parts[0].isEmpty else {
                let message = "must be KEY=VALUE, such as benchmark=gsm8k, not \(shown(name))"
                problems.add(.outOfRange, at: position, path: path, message)
                continue
            }
            selection.tags.append((parts[0], parts[1]))
        }
        section.finish()
        return selection
    }

    func time(_ section: inout SectionReader, _ key: String) -> Timestamp? {
        guard let text = section.textIfPresent(key) else { return nil }
        guard let time = Timestamp(rfc3339: text) else {
            section.add(
                .outOfRange, key, "must be a time such as 2026-11-01 or 2026-11-24T15:00, in UTC, not \(shown(text))")
            return nil
        }
        return time
    }
}

extension Cluster {
    /// Reads `request`, `tenant` or `tag:NAME`; nil for anything else.
    package init?(_ text: String) {
        switch text {
        case "request": self = .request
        case "tenant": self = .tenant
        default:
            guard text.hasPrefix("tag:"), text.count > 4 else { return nil }
            self = .tag(String(text.dropFirst(4)))
        }
    }
}
