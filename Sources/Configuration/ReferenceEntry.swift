/// One key of `relaygate.yaml` or of a scenario file: the loader reads by it, and the documentation is written from it.
package struct ReferenceEntry: Sendable, Equatable {
    /// What a key takes.
    package enum Kind: Sendable, Equatable {
        /// A mapping of further keys.
        case section
        /// A list of mappings.
        case sections
        /// Any text that is not empty, at most this many bytes.
        case text(maximumBytes: Int)
        /// A name that other keys refer to.
        case name
        /// A public model name: as a name, and also `/` and `:`.
        case modelName
        /// One name, or a list of names.
        case names
        /// A whole number.
        case integer(ClosedRange<Int>)
        /// A whole number, or `auto`.
        case automaticInteger(ClosedRange<Int>)
        /// A number in decimals.
        case number(ClosedRange<Double>)
        /// A duration with its unit.
        case duration(ClosedRange<Duration>)
        /// A byte count with its unit.
        case bytes(ClosedRange<Int>)
        /// One of a few words.
        case choice([String])
        /// `true` or `false`.
        case boolean
        /// `env:NAME` or `file:/path`.
        case secret
        /// A PostgreSQL connection string or a reference to one.
        case connectionString
        /// An `http://` or `https://` address.
        case url
        /// A relay policy.
        case policy
    }

    /// What holds when the key is absent.
    package enum Default: Sendable, Equatable {
        /// The key must be there.
        case required
        /// Nothing; the meaning says what that means.
        case absent
        /// This value, written as in the file.
        case value(String)
        /// A value that depends on other keys, described in words.
        case derived(String)
    }

    /// The whole path; `[]` stands for the items of a list, as in `upstreams[].name`.
    package let path: String
    package let kind: Kind
    package let defaultValue: Default
    /// A sentence or two for operators.
    package let meaning: String

    package init(_ path: String, _ kind: Kind, _ defaultValue: Default, _ meaning: String) {
        self.path = path
        self.kind = kind
        self.defaultValue = defaultValue
        self.meaning = meaning
    }

    /// The path of the section that holds this key; empty at the top.
    package var parentPath: String {
        path.lastIndex(of: ".").map { String(path[..<$0]) } ?? ""
    }

    /// The key itself, without its section.
    package var key: String {
        path.lastIndex(of: ".").map { String(path[path.index(after: $0)...]) } ?? path
    }
}
