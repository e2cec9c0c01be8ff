internal import Accounting
internal import Arguments
internal import Foundation
internal import Simulator

/// A file with a part of a simulation: a line of JSON that says of which question, then the sums of the simulator, then
/// the SHA-256 of all before it.
struct SimulatePartial {
    private static let version = 2
    /// How many shards there may be.
    static let shardLimit = 100_000

    struct Head: Codable, Equatable {
        enum CodingKeys: String, CodingKey {
            case version = "relaygate_partial"
            case namesTraces = "names_traces"
            case words, scenario, traces, shard, shards, position, after
        }

        /// The version of this file.
        var version = SimulatePartial.version
        /// The command line's words, without names of trace files.
        var words: [String]
        /// The scenario file's text, nil where the question was asked with options.
        var scenario: String?
        /// Trace files; empty for the ledger.
        var traces: [String]
        /// Whether the trace files were named on the command line.
        var namesTraces: Bool
        /// From 1.
        var shard: Int
        var shards: Int
        /// Where to go on; nil when the part is whole.
        var position: TraceFeed.Position?
        /// The same in a ledger: the last request that is in.
        var after: String?

        /// Whether two heads ask the same question.
        func isSameQuestion(as other: Head) -> Bool {
            words == other.words && scenario == other.scenario && shards == other.shards
                && namesTraces == other.namesTraces
        }

        var isWhole: Bool { position == nil && after == nil }
    }

    var head: Head
    var body: [UInt8]

    func write(to path: String) throws(CommandExit) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard var data = try? encoder.encode(head) else { throw .failure("--partial: cannot be written as JSON") }
        data.append(0x0A)
        data.append(contentsOf: body)
        data.append(contentsOf: SHA256.digest(Array(data)))
        try SimulateText.write(data, to: path, option: "partial")
    }

    static func read(_ path: String) throws(CommandExit) -> SimulatePartial {
        let bytes = try InputFile.bytes(path)
        guard let end = bytes.firstIndex(of: 0x0A),
            let head = try? JSONDecoder().decode(Head.self, from: Data(bytes[..<end])), head.version == version
        else {
            throw .failure("\(path): is no partial result of this release's `relaygate simulate --partial`")
        }
        let rest = bytes.count - 32
        guard rest > end, SHA256.digest(Array(bytes[..<rest])) == Array(bytes[rest...]),
            (1...shardLimit).contains(head.shards), (1...head.shards).contains(head.shard)
        else { throw .failure("\(path): is damaged: run the shard again") }
        return SimulatePartial(head: head, body: Array(bytes[(end + 1)..<rest]))
    }
}
