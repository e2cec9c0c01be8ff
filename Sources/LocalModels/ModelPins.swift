/// Where the weights of one model come from and what they must be.
package struct ModelPins: Sendable, Equatable {
    /// The name the server answers to, such as `smollm2-135m-instruct`.
    package let name: String
    /// The file's name in the cache.
    package let file: String
    /// The size of the file in bytes.
    package let bytes: Int64
    /// The file's SHA-256, 64 lower-case hexadecimal digits.
    package let sha256: String
    /// The address of the file at the model hub.
    package let hub: String
    /// `package==version sha256:digest` of each wheel with a piece of the same file, in order.
    package let wheels: [String]

    /// Reads `field value` lines; lines with `#` and empty ones are skipped.
    ///
    /// - Returns: nil when a field is missing, unknown, given twice or not of its form.
    package init?(_ text: String) {
        var fields: [String: String] = [:]
        var wheels: [String] = []
        for line in text.split(separator: "\n") where !line.hasPrefix("#") {
            guard let space = line.firstIndex(of: " ") else { return nil }
            let field = String(line[..<space])
            let value = String(line[line.index(after: space)...])
            if field == "wheel" {
                guard Self.isWheel(value) else { return nil }
                wheels.append(value)
            } else if fields.updateValue(value, forKey: field) != nil {
                return nil
            }
        }
        guard fields.count == 5, !wheels.isEmpty,
            let name = fields["name"], !name.isEmpty,
            let file = fields["file"], file.hasSuffix(".gguf"), !file.contains("/"),
            let size = fields["bytes"].flatMap({ Int64($0) }), size > 0,
            let digest = fields["sha256"], Self.isDigest(digest),
            let hub = fields["hub"], hub.hasPrefix("https://"), hub.hasSuffix("/" + file)
        else { return nil }
        self.name = name
        self.file = file
        bytes = size
        sha256 = digest
        self.hub = hub
        self.wheels = wheels
    }

    private static func isWheel(_ text: String) -> Bool {
        let words = text.split(separator: " ", omittingEmptySubsequences: false)
        return words.count == 2 && words[0].contains("==") && words[1].hasPrefix("sha256:")
            && isDigest(words[1].dropFirst("sha256:".count))
    }

    private static func isDigest(_ text: some StringProtocol) -> Bool {
        text.utf8.count == 64
            && text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
    }
}
