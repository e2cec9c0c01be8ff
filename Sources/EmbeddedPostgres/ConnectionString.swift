/// Builds libpq connection strings.
enum ConnectionString {
    /// `host=… port=… dbname=… user=…`, with values quoted where libpq needs it.
    ///
    /// Source: "Keyword/Value Connection Strings" in the libpq chapter of PostgreSQL's manual: a value with spaces
    /// is put in single quotes, and quotes and backslashes in it are escaped with a backslash.
    static func text(host: String, port: Int, database: String, user: String) -> String {
        "host=\(quoted(host)) port=\(port) dbname=\(quoted(database)) user=\(quoted(user))"
    }

    static func quoted(_ value: String) -> String {
        let plain = value.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                || "/._-".utf8.contains(byte)
        }
        if plain && !value.isEmpty { return value }
        return "'" + value.replacing("\\", with: "\\\\").replacing("'", with: "\\'") + "'"
    }
}
