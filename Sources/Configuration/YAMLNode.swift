/// One value of a YAML file with its place: aliases are expanded and merge keys applied.
package struct YAMLNode: Sendable, Equatable {
    package enum Content: Sendable, Equatable {
        /// Text; `plain` means written without quotes, so it may be a number or a truth value.
        case scalar(String, plain: Bool)
        case sequence([YAMLNode])
        case mapping([Entry])
    }

    package struct Entry: Sendable, Equatable {
        package let key: YAMLNode
        package let value: YAMLNode
    }

    package let content: Content
    package let position: Position

    /// Whether the value is left out or written as null.
    var isNull: Bool {
        guard case .scalar(let text, plain: true) = content else { return false }
        return ["", "~", "null", "Null", "NULL"].contains(text)
    }

    /// What the value is, in words for an error message.
    var kindDescription: String {
        switch content {
        case .scalar(_, plain: false): "text in quotes"
        case .scalar: isNull ? "nothing" : "a single value"
        case .sequence: "a list"
        case .mapping: "a section of keys"
        }
    }

    /// The number of nodes in this subtree, itself and keys included.
    var nodeCount: Int {
        switch content {
        case .scalar: 1
        case .sequence(let items): items.reduce(1) { $0 + $1.nodeCount }
        case .mapping(let entries): entries.reduce(1) { $0 + $1.key.nodeCount + $1.value.nodeCount }
        }
    }
}
