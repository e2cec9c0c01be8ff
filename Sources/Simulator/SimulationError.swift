/// Why a simulation cannot be done.
package struct SimulationError: Error, Sendable, Equatable {
    package enum Code: Sendable, Equatable {
        /// A scenario asks for something that cannot be.
        case scenario
        /// A file does not hold what it should.
        case data
        /// A partial result is damaged, of another version or of another scenario.
        case partial
    }

    package let code: Code
    /// The member, column or option that is wrong, such as `policies[2].cap_n`; nil when it is the whole.
    package let field: String?
    /// What is wrong with it and the remedy.
    package let message: String

    package init(_ code: Code, _ field: String?, _ message: String) {
        self.code = code
        self.field = field
        self.message = message
    }
}
