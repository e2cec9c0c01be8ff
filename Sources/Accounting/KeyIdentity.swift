/// What is stored of a tenant's prompts and answers.
package enum Capture: String, Sendable, CaseIterable {
    case none
    /// SHA-256 of each text.
    case hashes
    case text
}

/// Who a key speaks for, and what it may do.
package struct KeyIdentity: Sendable, Equatable {
    package let tenantID: UUID7
    package let tenantName: String
    package let keyID: UUID7
    /// The part of the key that may be logged.
    package let publicID: String
    package let scopes: Set<String>
    package let capture: Capture
    /// The public model name that answers to the name `default`.
    package let defaultModel: String?
    package let expires: Timestamp?
    /// Members of `metadata`, and `user`, that the tenant wants counted.
    package let tagKeys: [String]

    package init(
        tenantID: UUID7, tenantName: String, keyID: UUID7, publicID: String, scopes: Set<String>, capture: Capture,
        defaultModel: String?, expires: Timestamp?, tagKeys: [String] = []
    ) {
        self.tenantID = tenantID
        self.tenantName = tenantName
        self.keyID = keyID
        self.publicID = publicID
        self.scopes = scopes
        self.capture = capture
        self.defaultModel = defaultModel
        self.expires = expires
        self.tagKeys = tagKeys
    }
}

/// The answer to "whose key is this?".
package enum KeyResult: Sendable, Equatable {
    case found(KeyIdentity)
    /// The form or the checksum is wrong, or there is no such key.
    case unknown
    /// The key was revoked, or its tenant deleted.
    case revoked
    case expired
    /// Nobody can say now: the database has not answered for longer than the grace. Fail closed.
    case unavailable
}
