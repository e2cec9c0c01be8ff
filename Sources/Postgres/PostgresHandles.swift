internal import CPostgres

/// The owner of a libpq connection.
@safe struct ConnectionHandle: ~Copyable {
    let raw: OpaquePointer

    init(owning raw: OpaquePointer) { unsafe self.raw = unsafe raw }

    deinit { unsafe PQfinish(raw) }

    /// libpq's description of the last failure on this connection.
    var errorMessage: String {
        guard let message = unsafe PQerrorMessage(raw) else { return "" }
        return unsafe String(cString: message).trimmedOfNewlines
    }

    var isBroken: Bool { unsafe PQstatus(raw) == CONNECTION_BAD }
}

/// The owner of a libpq result.
@safe struct ResultHandle: ~Copyable {
    let raw: OpaquePointer

    init(owning raw: OpaquePointer) { unsafe self.raw = unsafe raw }

    deinit { unsafe PQclear(raw) }

    var status: ExecStatusType { unsafe PQresultStatus(raw) }

    /// The error ends the session (severity FATAL or PANIC), or libpq made it because there is no session any more.
    var isFatal: Bool {
        guard let severity = unsafe PQresultErrorField(raw, CInt(UInt8(ascii: "V"))) else { return true }
        return unsafe ["FATAL", "PANIC"].contains(String(cString: severity))
    }

    /// The error that this result is, for a command whose outcome is the server's refusal.
    func serverError() -> PostgresError {
        let state = unsafe PQresultErrorField(raw, CInt(UInt8(ascii: "C"))).map { unsafe String(cString: $0) }
        let message = unsafe PQresultErrorMessage(raw).map { unsafe String(cString: $0) } ?? ""
        return PostgresError(.server, outcome: .failed, sqlState: state, detail: message.trimmedOfNewlines)
    }
}

extension String {
    /// libpq ends its messages with a newline.
    var trimmedOfNewlines: String {
        var text = self[...]
        while text.last?.isNewline == true { text.removeLast() }
        return String(text)
    }
}
