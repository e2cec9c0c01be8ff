/// What is wrong with a line of a file.
package struct TraceFault: Error, Sendable, Equatable, CustomStringConvertible {
    /// From 1; nil while only the line itself is known.
    package var line: Int?
    /// The member at fault, such as `segments[2].role`; nil when it is the line as a whole.
    package let member: String?
    /// What it must be.
    package let rule: String

    package init(_ member: String?, _ rule: String, line: Int? = nil) {
        self.member = member
        self.rule = rule
        self.line = line
    }

    package var description: String {
        (line.map { "line \($0): " } ?? "") + (member.map { "\($0) " } ?? "") + rule
    }
}
