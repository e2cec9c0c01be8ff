extension ConfigurationLoader {
    /// One item of `upstreams`.
    func upstream(_ section: SectionReader) -> UpstreamConfiguration {
        var reader = section
        defer { reader.finish() }
        let dialect = reader.choice("dialect", UpstreamConfiguration.Dialect.self) ?? .openai
        let dialectIsKnown = reader.has("dialect")
        let template = reader.choice("template", UpstreamConfiguration.Template.self)
        if dialectIsKnown, dialect == .openai || dialect == .sglang, template == .server {
            reader.add(
                .outOfRange, "template",
                "dialect \(dialect.rawValue) has no template endpoint, use chatml, llama3 or plain")
        }
        return UpstreamConfiguration(
            name: reader.text("name"), model: reader.text("model"), url: baseURL(&reader),
            dialect: dialect,
            apiKey: secret("api_key", &reader), contextWindow: reader.integerIfPresent("context_window"),
            template: template ?? (dialect == .llamacpp || dialect == .vllm ? .server : .chatml),
            continuation: reader.choice("continuation", UpstreamConfiguration.Continuation.self)
                ?? .completions,
            idleConnections: reader.integer("idle_connections"),
            connectTimeout: reader.duration("connect_timeout"),
            firstByteTimeout: reader.duration("first_byte_timeout"),
            idleTimeout: reader.duration("idle_timeout"),
            retries: reader.integer("retries"), maxTokens: reader.integer("max_tokens"),
            runningUsage: reader.booleanIfPresent("running_usage"),
            forbid: reader.choice("forbid", UpstreamConfiguration.Forbid.self) ?? .auto)
    }

    private func baseURL(_ reader: inout SectionReader) -> BaseURL {
        let text = reader.textIfPresent("url")
        if let text {
            do {
                return try BaseURL(text)
            } catch {
                // The address itself is not repeated: it may hold a password.
                reader.add(.outOfRange, "url", error.message)
            }
        }
        return .placeholder
    }

    /// A value that may only be referred to.
    func secret(_ key: String, _ reader: inout SectionReader) -> Secret? {
        guard let text = reader.textIfPresent(key) else { return nil }
        guard let reference = SecretReference(text) else {
            let remedy =
                "put it into the environment and write env:NAME, or into a file and write file:/path"
            reader.add(.secret, key, "a secret must not stand in this file; \(remedy)")
            return nil
        }
        return resolve(reference, key, reader)
    }

    private func resolve(_ reference: SecretReference, _ key: String, _ reader: SectionReader)
        -> Secret?
    {
        do {
            return try reference.resolve(environment: environment)
        } catch {
            reader.add(.secret, key, error.message)
            return nil
        }
    }

    /// A connection string of PostgreSQL: by reference, or literally when it holds no password; nil when it is absent.
    func connectionString(_ key: String, _ reader: inout SectionReader) -> Secret? {
        guard let text = reader.textIfPresent(key) else { return nil }
        if let reference = SecretReference(text) { return resolve(reference, key, reader) }
        if text.isEmpty {
            reader.add(.outOfRange, key, "must not be empty")
        } else if ConnectionString.holdsPassword(text) {
            let remedy = "write env:DATABASE_URL or file:/path instead, or keep the password in ~/.pgpass"
            reader.add(.secret, key, "a password must not stand in this file; \(remedy)")
        } else if !ConnectionString.isConnectionString(text) {
            let forms = "env:NAME, file:/path, postgresql://host/database or \"host=… dbname=…\""
            reader.add(.outOfRange, key, "must be \(forms)")
        }
        return Secret(text)
    }
}

/// What can be said about a libpq connection string without libpq.
enum ConnectionString {
    /// Whether the text has one of libpq's two forms.
    static func isConnectionString(_ text: String) -> Bool {
        isURI(text) || text.contains("=")
    }

    /// Whether a password stands in it, in the user part, in the query or as a keyword (also a key file's).
    ///
    /// Errs on the side of yes: any keyword that ends in "password" counts wherever it stands.
    static func holdsPassword(_ text: String) -> Bool {
        let decoded = percentDecoded(text).lowercased()
        if isURI(text) {
            let authority = text.drop { $0 != ":" }.dropFirst(3).prefix { $0 != "/" && $0 != "?" }
            // Only what stands before the last "@" is the user part; a colon after it belongs to the port.
            if let at = authority.lastIndex(of: "@"), authority[..<at].contains(":") { return true }
        }
        var rest = decoded[...]
        while let start = rest.firstIndex(of: "p") {
            rest = rest[start...]
            if rest.hasPrefix("password") {
                let after = rest.dropFirst("password".count).drop { $0.isWhitespace }
                if after.first == "=" { return true }
            }
            rest = rest.dropFirst()
        }
        return false
    }

    private static func isURI(_ text: String) -> Bool {
        text.hasPrefix("postgres://") || text.hasPrefix("postgresql://")
    }

    private static func percentDecoded(_ text: String) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            let digits = rest.prefix(2)
            if byte == UInt8(ascii: "%"), digits.count == 2,
                let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16)
            {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
