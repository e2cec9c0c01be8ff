import Testing

@testable import Configuration

@Suite struct ExampleTests {
    /// The example with its commented-out keys: `#` directly before a key or a dash is taken away.
    private let complete = GatewayConfiguration.example.split(
        separator: "\n", omittingEmptySubsequences: false
    ).map { line in
        let text = line.drop { $0 == " " }
        guard text.first == "#", let next = text.dropFirst().first, next != " " else {
            return String(line)
        }
        return line.prefix(line.count - text.count) + String(text.dropFirst())
    }.joined(separator: "\n")

    @Test("The example loads as it is and equals the defaults")
    func loads() throws {
        let example = try loaded(GatewayConfiguration.example)
        let defaults = try loaded(smallestFile)
        #expect(example.listen == defaults.listen)
        #expect(example.ledger == defaults.ledger)
        #expect(example.shutdown == defaults.shutdown)
        #expect(example.log == defaults.log)
        #expect(example.models == defaults.models)
    }

    @Test("With its optional keys the example loads too and has every key of the reference")
    func completeExample() throws {
        var environment = testEnvironment
        environment["SMALL_API_KEY"] = "k"
        environment["REPLICA_URL"] = "postgresql://replica/relaygate"
        environment["BUDGET_WEBHOOK"] = "https://example.test/hook"
        #expect(problems(of: complete, environment: environment) == [])
        let list = ProblemList(fileName: "example")
        let root = try #require(YAMLParser.parse(complete, problems: list))
        var paths: Set<String> = []
        collect(root, "", &paths)
        #expect(paths == Set(ConfigurationReference.entries.map(\.path)))
    }

    @Test(
        "A default of the reference stands in the example", arguments: ConfigurationReference.entries)
    func defaultsAgree(_ entry: ReferenceEntry) {
        guard case .value(let text) = entry.defaultValue else { return }
        let lines = GatewayConfiguration.example.split(separator: "\n").map { $0.drop { $0 == " " } }
        #expect(
            lines.contains { $0 == "\(entry.key): \(text)" || $0.hasPrefix("\(entry.key): \(text) ") })
    }

    @Test("The reference lists each key once, a section directly before its keys")
    func reference() {
        var seen: Set<String> = [""]
        for entry in ConfigurationReference.entries {
            #expect(!seen.contains(entry.path), "\(entry.path) twice")
            let parent =
                entry.parentPath.hasSuffix("[]") ? String(entry.parentPath.dropLast(2)) : entry.parentPath
            #expect(seen.contains(parent), "\(entry.path) before its section")
            #expect(entry.meaning.hasSuffix("."), "\(entry.path): the meaning is a sentence")
            seen.insert(entry.path)
        }
    }

    @Test("The Markdown has a row for each key inside a section and a heading for each section")
    func markdown() {
        let lines = ConfigurationReference.markdown.split(separator: "\n")
        for entry in ConfigurationReference.entries {
            let wanted = entry.parentPath.isEmpty ? "## `\(entry.path)`" : "| `\(entry.path)` |"
            #expect(lines.count { $0.hasPrefix(wanted) } == 1, "\(entry.path)")
        }
        #expect(
            lines.contains(
                "| `listen.port` | whole number, 0 to 65535 | `8080` | TCP port to listen on; 0 takes a free one. |"
            ))
    }

    private func collect(_ node: YAMLNode, _ path: String, _ paths: inout Set<String>) {
        switch node.content {
        case .scalar:
            break
        case .sequence(let items):
            for item in items { collect(item, path + "[]", &paths) }
        case .mapping(let entries):
            for entry in entries {
                guard case .scalar(let key, _) = entry.key.content else { continue }
                let inner = path.isEmpty ? key : "\(path).\(key)"
                paths.insert(inner)
                collect(entry.value, inner, &paths)
            }
        }
    }
}
