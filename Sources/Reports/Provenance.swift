/// How a report came about: what one needs to make it again.
package struct Provenance: Sendable, Equatable {
    /// The command that makes the same report, without what does not change it, such as `--threads`.
    package var command: String
    package var seed: UInt64
    /// Formats and tables that the numbers depend on, in order: "trace format" is "2".
    package var versions: [(name: String, value: String)]

    package init(command: String, seed: UInt64, versions: [(name: String, value: String)] = []) {
        self.command = command
        self.seed = seed
        self.versions = versions
    }

    package static func == (left: Provenance, right: Provenance) -> Bool {
        left.command == right.command && left.seed == right.seed
            && left.versions.elementsEqual(right.versions, by: ==)
    }

    /// The lines that all forms of a report end with.
    var lines: [(name: String, value: String)] {
        versions + [("seed", String(seed)), ("command", command)]
    }
}
