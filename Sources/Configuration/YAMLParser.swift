import CFYAML

/// Turns YAML text into a tree with places, over libfyaml's event parser.
///
/// The tree is built here rather than by the library's document API, because the configuration needs the place of
/// every key, needs duplicate keys to stay visible, and needs a bound on what aliases can expand to.
@safe package struct YAMLParser: ~Copyable {
    /// Longest file accepted.
    package static let byteLimit = 1 << 20
    /// Deepest nesting accepted; the longest path of the schema has 6 levels.
    static let depthLimit = 32
    /// Most nodes accepted after aliases are expanded.
    static let nodeLimit = 50_000

    private let problems: ProblemList
    /// libfyaml reads from this copy until the parser is destroyed.
    private let text: UnsafeMutableBufferPointer<CChar>
    private let diagnostics: OpaquePointer?
    private let parser: OpaquePointer?
    private var anchors: [String: YAMLNode] = [:]
    private var nodeCount = 0
    /// Where the last event stood, for values that are left out and so have no place of their own.
    private var lastPosition = Position.start

    /// Reads the only document of `text`.
    ///
    /// - Returns: nil when the text holds no document or when a problem was added to `problems`.
    package static func parse(_ text: String, problems: ProblemList) -> YAMLNode? {
        guard text.utf8.count <= byteLimit else {
            problems.add(.syntax, at: .start, path: "", "the file is longer than \(byteLimit) bytes")
            return nil
        }
        if let position = firstControlCharacter(in: text) {
            problems.add(.syntax, at: position, path: "", "control characters are not allowed")
            return nil
        }
        var parser = YAMLParser(text, problems: problems)
        do {
            return try parser.document()
        } catch {
            problems.add(.syntax, at: error.position, path: "", error.message)
            return nil
        }
    }

    private struct SyntaxError: Error {
        let position: Position
        let message: String
    }

    /// One event, copied out of the library's memory.
    private struct Event {
        let type: fy_event_type
        let text: String
        let anchor: String
        let isPlain: Bool
        let hasTag: Bool
        let position: Position
    }

    private init(_ source: String, problems: ProblemList) {
        self.problems = problems
        let bytes = Array(source.utf8)
        unsafe text = .allocate(capacity: max(1, bytes.count))
        for (index, byte) in bytes.enumerated() {
            unsafe (text.baseAddress! + index).initialize(to: CChar(bitPattern: byte))
        }
        unsafe diagnostics = cfyaml_collecting_diagnostics()
        unsafe parser = cfyaml_parser(text.baseAddress, bytes.count, diagnostics)
    }

    deinit {
        if let parser = unsafe parser { unsafe fy_parser_destroy(parser) }
        if let diagnostics = unsafe diagnostics { unsafe fy_diag_destroy(diagnostics) }
        unsafe text.deallocate()
    }

    // MARK: - Documents

    private mutating func document() throws(SyntaxError) -> YAMLNode? {
        var root: YAMLNode?
        while let event = try nextEvent() {
            switch event.type {
            case FYET_DOCUMENT_START where root != nil:
                throw SyntaxError(
                    position: lastPosition, message: "a second document (after ---) is not allowed")
            case FYET_SCALAR, FYET_ALIAS, FYET_MAPPING_START, FYET_SEQUENCE_START:
                root = try node(from: event, depth: 1)
            default:
                continue
            }
        }
        return root
    }

    private mutating func node(from event: Event, depth: Int) throws(SyntaxError) -> YAMLNode {
        nodeCount += 1
        guard depth <= Self.depthLimit, nodeCount <= Self.nodeLimit else {
            throw SyntaxError(
                position: event.position, message: "the file is nested too deeply or expands to too much")
        }
        if event.hasTag {
            throw SyntaxError(
                position: event.position, message: "YAML tags (!name) are not used here, remove it")
        }
        let content: YAMLNode.Content
        switch event.type {
        case FYET_SCALAR:
            content = .scalar(event.text, plain: event.isPlain)
        case FYET_SEQUENCE_START:
            content = .sequence(try items(depth: depth))
        case FYET_MAPPING_START:
            content = .mapping(try entries(depth: depth))
        default:
            return try alias(event)
        }
        let node = YAMLNode(content: content, position: event.position)
        if !event.anchor.isEmpty { anchors[event.anchor] = node }
        return node
    }

    private mutating func alias(_ event: Event) throws(SyntaxError) -> YAMLNode {
        // An anchor is known only once its node is complete, so a node cannot hold itself.
        guard let node = anchors[event.text] else {
            throw SyntaxError(
                position: event.position, message: "*\(event.text) refers to no anchor before it")
        }
        nodeCount += node.nodeCount
        guard nodeCount <= Self.nodeLimit else {
            throw SyntaxError(
                position: event.position, message: "the aliases of the file expand to too much")
        }
        return node
    }

    private mutating func items(depth: Int) throws(SyntaxError) -> [YAMLNode] {
        var items: [YAMLNode] = []
        while true {
            let event = try requiredEvent()
            if event.type == FYET_SEQUENCE_END { return items }
            items.append(try node(from: event, depth: depth + 1))
        }
    }

    private mutating func entries(depth: Int) throws(SyntaxError) -> [YAMLNode.Entry] {
        var entries: [YAMLNode.Entry] = []
        var merged: [YAMLNode.Entry] = []
        while true {
            let event = try requiredEvent()
            if event.type == FYET_MAPPING_END { break }
            let key = try node(from: event, depth: depth + 1)
            let value = try node(from: try requiredEvent(), depth: depth + 1)
            if key.content == .scalar("<<", plain: true) {
                merged += try mergedEntries(value)
            } else {
                entries.append(.init(key: key, value: value))
            }
        }
        // Keys written here win over merged ones, and earlier merges over later ones.
        for entry in merged where !entries.contains(where: { $0.key.content == entry.key.content }) {
            entries.append(entry)
        }
        return entries
    }

    private func mergedEntries(_ value: YAMLNode) throws(SyntaxError) -> [YAMLNode.Entry] {
        switch value.content {
        case .mapping(let entries):
            return entries
        case .sequence(let items):
            var all: [YAMLNode.Entry] = []
            for item in items {
                guard case .mapping(let entries) = item.content else { break }
                all += entries
            }
            if !all.isEmpty { return all }
        case .scalar:
            break
        }
        throw SyntaxError(position: value.position, message: "<< takes a section or a list of sections")
    }

    // MARK: - Events

    private mutating func requiredEvent() throws(SyntaxError) -> Event {
        guard let event = try nextEvent() else {
            throw SyntaxError(position: lastPosition, message: "the file ends too early")
        }
        return event
    }

    private mutating func nextEvent() throws(SyntaxError) -> Event? {
        guard let parser = unsafe parser else {
            throw SyntaxError(position: .start, message: "no memory for the YAML parser")
        }
        guard let raw = unsafe fy_parser_parse(parser) else {
            if unsafe fy_parser_get_stream_error(parser) { throw firstError() }
            return nil
        }
        defer { unsafe fy_parser_event_free(parser, raw) }
        let description = unsafe cfyaml_describe(raw)
        if unsafe description.line > 0 {
            lastPosition = unsafe Position(line: Int(description.line), column: Int(description.column))
        }
        return unsafe Event(
            type: raw.pointee.type,
            text: Self.string(description.text, description.text_length),
            anchor: Self.string(description.anchor, description.anchor_length),
            isPlain: description.is_plain != 0, hasTag: description.has_tag != 0, position: lastPosition)
    }

    private func firstError() -> SyntaxError {
        var cursor: UnsafeMutableRawPointer?
        guard let error = unsafe fy_diag_errors_iterate(diagnostics, &cursor) else {
            return SyntaxError(position: lastPosition, message: "this is not YAML")
        }
        let position = unsafe Position(
            line: max(1, Int(error.pointee.line)), column: max(1, Int(error.pointee.column)))
        let message = unsafe error.pointee.msg.map { unsafe String(cString: $0) } ?? "this is not YAML"
        return SyntaxError(position: position, message: "not valid YAML: \(message)")
    }

    @safe private static func string(_ start: UnsafePointer<CChar>?, _ length: Int) -> String {
        guard let start = unsafe start else { return "" }
        return unsafe String(
            decoding: UnsafeRawBufferPointer(start: start, count: length), as: UTF8.self)
    }

    private static func firstControlCharacter(in text: String) -> Position? {
        var position = Position.start
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0x0A: position = Position(line: position.line + 1, column: 0)
            case 0x09, 0x0D: break
            case 0x00..<0x20, 0x7F: return position
            default: break
            }
            position.column += 1
        }
        return nil
    }
}
