import Foundation
import Testing

/// The rules of style that a machine can check, over the files of this checkout.
@Suite struct TidyTests {
    private struct File {
        let path: String
        let lines: [String]

        /// The target's folder: `Gateway` of `Sources/Gateway/Route.swift`.
        var target: String { path.split(separator: "/").dropFirst().first.map(String.init) ?? "" }

        var imports: [String] {
            lines.compactMap { line in
                let words = line.split(separator: " ")
                guard let word = words.firstIndex(of: "import"), word <= 1, word + 1 < words.count else { return nil }
                return String(words[word + 1])
            }
        }
    }

    private static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    private static func files(_ folder: String) throws -> [File] {
        let base = root.appendingPathComponent(folder)
        let names = FileManager.default.enumerator(atPath: base.path)?.compactMap { $0 as? String } ?? []
        let files = try names.filter { $0.hasSuffix(".swift") }.sorted().map { name in
            let text = try String(contentsOf: base.appendingPathComponent(name), encoding: .utf8)
            return File(path: folder + "/" + name, lines: text.components(separatedBy: "\n"))
        }
        try #require(!files.isEmpty, "no files under \(folder)")
        return files
    }

    @Test func `files have at most 400 lines of 120 columns`() throws {
        for file in try Self.files("Sources") + Self.files("Tests") {
            #expect(file.lines.count <= 401, "\(file.path)")
            // Texts that are shown to people are written as they are, also over several lines.
            var isText = false
            for (number, line) in file.lines.enumerated() {
                if line.components(separatedBy: "\"\"\"").count.isMultiple(of: 2) { isText.toggle() }
                guard line.count > 120, !isText, !line.contains("\"") else { continue }
                Issue.record("\(file.path):\(number + 1) has \(line.count) columns")
            }
        }
    }

    @Test func `functions have at most 70 lines`() throws {
        for file in try Self.files("Sources") {
            var start: (line: Int, indent: Substring)?
            for (number, line) in file.lines.enumerated() {
                let indent = line.prefix { $0 == " " }
                if line.contains("func ") || line.contains(" init("), !line.hasPrefix("//"), line.hasSuffix("{") {
                    start = (number, indent)
                } else if let open = start, line == open.indent + "}" {
                    #expect(number - open.line < 70, "\(file.path):\(open.line + 1)")
                    start = nil
                }
            }
        }
    }

    @Test(arguments: ["TODO", "FIXME", "XXX", "try!", "as!", "print("])
    func `what is not written in sources`(_ word: String) throws {
        for file in try Self.files("Sources") {
            for (number, line) in file.lines.enumerated() {
                #expect(!line.contains(word), "\(file.path):\(number + 1)")
            }
        }
    }

    @Test func `each C library is imported by one target`() throws {
        var importers: [String: Set<String>] = [:]
        for file in try Self.files("Sources") {
            for name in file.imports where name.hasPrefix("C") && name.dropFirst().first?.isUppercase == true {
                importers[name, default: []].insert(file.target)
            }
        }
        #expect(importers.count >= 6, "\(importers.keys.sorted())")
        for (library, targets) in importers { #expect(targets.count == 1, "\(library): \(targets.sorted())") }
    }

    @Test(arguments: ["RelayCore", "Accounting", "Notation"])
    func `pure targets import nothing`(_ target: String) throws {
        for file in try Self.files("Sources/" + target) { #expect(file.imports == [], "\(file.path)") }
    }

    @Test func `Foundation stays off the path of a request`() throws {
        let tools: Set = ["relaygate", "LocalSystem", "LocalModels", "EmbeddedPostgres"]
        for file in try Self.files("Sources") where !tools.contains(file.target) {
            #expect(!file.imports.contains { $0.hasPrefix("Foundation") }, "\(file.path)")
        }
    }
}
