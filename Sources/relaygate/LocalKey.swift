internal import Arguments
internal import Foundation
internal import Store

/// The key that `up` makes for the person at the machine: kept beside the data, readable by them alone.
enum LocalKey {
    private static let tenant = "local"

    /// The key of an earlier start, while it is valid, else a new one.
    static func prepare(directory: String, connection: String) throws(CommandExit) -> String {
        let path = directory + "/api_key"
        let kept = (try? String(contentsOfFile: path, encoding: .utf8))?.trimmingCharacters(in: .whitespacesAndNewlines)
        let secret = try TenantCommand.administer(connection) {
            (administration) async throws(StoreError) -> String? in
            if try await !administration.listTenants().contains(where: { $0.name == tenant }) {
                _ = try await administration.createTenant(tenant)
            }
            if let kept, let key = APIKey(kept) {
                let known = try await administration.listKeys(tenant: tenant)
                if known.contains(where: { $0.publicID == key.publicID && $0.revoked == nil }) { return nil }
            }
            return try await administration.createKey(tenant: tenant, label: "made by relaygate up").secret
        }
        guard let secret else { return kept ?? "" }
        let written = FileManager.default.createFile(
            atPath: path, contents: Data((secret + "\n").utf8), attributes: [.posixPermissions: 0o600])
        guard written else { throw .failure("cannot write \(path); make its directory writable") }
        return secret
    }
}
