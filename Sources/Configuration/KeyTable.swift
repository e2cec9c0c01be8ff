/// The keys of one kind of file, by the sections that hold them.
package struct KeyTable: Sendable {
    private let byParent: [String: [ReferenceEntry]]

    package init(_ entries: [ReferenceEntry]) {
        byParent = Dictionary(grouping: entries, by: \.parentPath)
    }

    /// The keys directly inside the section at `path` (`""` for the top, `upstreams[]` for an item of that list).
    func keys(in path: String) -> [ReferenceEntry] { byParent[path] ?? [] }
}
