import Foundation
import Testing

@testable import Simulator

/// A part of `oracles.json`: numbers that another program computed. It knows which of them a test has compared.
final class OracleFile {
    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    static let copy = root.appendingPathComponent("Tests/SimulatorTests/Resources/oracles.json")

    /// The file that the copy was made from: beside the checkout, or where the variable says.
    static var original: URL {
        let folder = ProcessInfo.processInfo.environment["RELAYGATE_SHARED_DATA"].map { URL(fileURLWithPath: $0) }
        return (folder ?? root.appendingPathComponent("../shared/data")).appendingPathComponent("oracles.json")
    }

    private let section: Any
    private var open: Set<[String]>

    init(_ section: String) throws {
        let whole = try JSONSerialization.jsonObject(with: Data(contentsOf: OracleFile.copy))
        self.section = try #require((whole as? [String: Any])?[section], "oracles.json has no section \(section)")
        open = Set(OracleFile.leaves(self.section))
        #expect(!open.isEmpty)
    }

    static func sections() throws -> Set<String> {
        let whole = try JSONSerialization.jsonObject(with: Data(contentsOf: copy))
        return Set(try #require(whole as? [String: Any]).keys)
    }

    /// Compares to the last given digit; `decimals` is to how many digits the numbers of this kind were given.
    func expect(
        _ path: [String], _ number: Number?, decimals: Int = 10, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let leaf = take(path, sourceLocation)
        if leaf is NSNull {
            #expect(number == nil, "\(path) has no value", sourceLocation: sourceLocation)
            return
        }
        guard let expected = leaf as? Double, let number else {
            Issue.record(
                "\(path): \(String(describing: leaf)) is no number, or there is none", sourceLocation: sourceLocation)
            return
        }
        let text = Decimals.text(number, decimals: decimals)
        // Given to fewer digits, the expected number prints with zeros.
        let given = Decimals.text(expected, decimals: decimals)
        #expect(text == given, "\(path)", sourceLocation: sourceLocation)
    }

    func expect(
        _ path: [String], _ number: Double?, decimals: Int = 10, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        expect(path, number.map { Number.real($0) }, decimals: decimals, sourceLocation: sourceLocation)
    }

    func expect(_ path: [String], count: Int, sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(take(path, sourceLocation) as? Int == count, "\(path)", sourceLocation: sourceLocation)
    }

    func expect(_ path: [String], text: String, sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(take(path, sourceLocation) as? String == text, "\(path)", sourceLocation: sourceLocation)
    }

    func expect(_ path: [String], flag: Bool, sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(take(path, sourceLocation) as? Bool == flag, "\(path)", sourceLocation: sourceLocation)
    }

    /// An input of the other program, which a test gives to this one.
    func input(_ path: [String], sourceLocation: SourceLocation = #_sourceLocation) throws -> Double {
        try #require(take(path, sourceLocation) as? Double, "\(path) is no number", sourceLocation: sourceLocation)
    }

    /// A sentence, which is not compared.
    func sentence(_ path: [String], sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(take(path, sourceLocation) is String, "\(path)", sourceLocation: sourceLocation)
    }

    func keys(_ path: [String]) -> [String] {
        if let members = value(path) as? [String: Any] { return members.keys.sorted() }
        return ((value(path) as? [Any]) ?? []).indices.map(String.init)
    }

    /// Fails when a number was not compared.
    func finish(sourceLocation: SourceLocation = #_sourceLocation) {
        let rest = open.map { $0.joined(separator: " / ") }.sorted()
        #expect(rest.isEmpty, "no test compares \(rest)", sourceLocation: sourceLocation)
    }

    private func take(_ path: [String], _ sourceLocation: SourceLocation) -> Any? {
        open.remove(path)
        let value = value(path)
        #expect(value != nil, "there is no \(path)", sourceLocation: sourceLocation)
        return value
    }

    private func value(_ path: [String]) -> Any? {
        path.reduce(section as Any?) { value, key in
            if let members = value as? [String: Any] { return members[key] }
            guard let items = value as? [Any], let index = Int(key), items.indices.contains(index) else { return nil }
            return items[index]
        }
    }

    private static func leaves(_ value: Any) -> [[String]] {
        if let members = value as? [String: Any] {
            return members.flatMap { key, value in leaves(value).map { [key] + $0 } }
        }
        if let items = value as? [Any] {
            return items.enumerated().flatMap { index, value in leaves(value).map { [String(index)] + $0 } }
        }
        return [[]]
    }
}
