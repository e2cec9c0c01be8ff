package import Accounting
internal import Postgres

/// A tenant as the database has it.
package struct Tenant: Sendable, Equatable {
    package let id: UUID7
    package let name: String
    package let isActive: Bool
    package let capture: Capture
    package let defaultModel: String?
    package let created: Timestamp

    init(_ row: PostgresRow) throws(PostgresError) {
        id = try row.uuid("id")
        name = try row.text("name")
        isActive = try row.text("state") == "active"
        capture = Capture(rawValue: try row.text("capture")) ?? .none
        defaultModel = try row.optionalText("default_model")
        created = try row.timestamp("created_at")
    }
}

/// A key as the database has it, without its secret.
package struct KeyRecord: Sendable, Equatable {
    package let id: UUID7
    package let tenant: String
    package let publicID: String
    package let label: String
    package let scopes: [String]
    package let expires: Timestamp?
    package let created: Timestamp
    package let revoked: Timestamp?

    init(_ row: PostgresRow) throws(PostgresError) {
        id = try row.uuid("id")
        tenant = try row.text("tenant")
        publicID = try row.text("public_id")
        label = try row.text("label")
        scopes = try row.texts("scopes").compactMap(\.self)
        expires = try row.optionalTimestamp("expires_at")
        created = try row.timestamp("created_at")
        revoked = try row.optionalTimestamp("revoked_at")
    }
}

/// A new key with its secret, which cannot be shown again.
package struct CreatedKey: Sendable {
    /// The whole key, as a caller presents it.
    package let secret: String
    package let key: KeyRecord
}

extension PostgresRows {
    /// `map` with the typed error.
    func mapRows<Value>(_ body: (PostgresRow) throws(PostgresError) -> Value) throws(PostgresError) -> [Value] {
        var values: [Value] = []
        values.reserveCapacity(count)
        for row in self { values.append(try body(row)) }
        return values
    }
}

/// A name for an error message: bounded, on one line.
func quoted(_ name: String) -> String {
    "\"" + String(name.prefix(80).map { $0.isNewline || $0 == "\"" ? " " : $0 }) + "\""
}

/// The name with the fewest edits, if they are few enough for a typing error.
func nearestName(to name: String, among names: [String]) -> String? {
    let wanted = Array(name.prefix(80))
    let limit = max(1, wanted.count / 3)
    return names.map { (name: $0, distance: editDistance(wanted, Array($0))) }
        .filter { $0.distance <= limit }
        .min { ($0.distance, $0.name) < ($1.distance, $1.name) }?.name
}

/// Insertions, deletions and replacements that turn one into the other.
private func editDistance(_ left: [Character], _ right: [Character]) -> Int {
    var row = Array(0...right.count)
    for (i, character) in left.enumerated() {
        var diagonal = row[0]
        row[0] = i + 1
        for (j, other) in right.enumerated() {
            let replaced = diagonal + (character == other ? 0 : 1)
            diagonal = row[j + 1]
            row[j + 1] = min(replaced, row[j] + 1, diagonal + 1)
        }
    }
    return row[right.count]
}
