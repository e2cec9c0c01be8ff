/// The text of one SQL statement, fixed when the program was compiled: values reach the server as binds and in no
/// other way. Each connection prepares a statement once, the first time it is used there.
package struct PostgresStatement: Sendable, ExpressibleByStringLiteral {
    let text: StaticString

    package init(stringLiteral text: StaticString) {
        precondition(text.hasPointerRepresentation, "a statement is longer than one character")
        self.text = text
    }

    /// Two statements are the same when their text is at the same place.
    var identity: UInt { unsafe UInt(bitPattern: text.utf8Start) }
}
