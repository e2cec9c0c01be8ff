/// The answer to a tenant's question about its own usage.
package enum UsageAnswer: Sendable, Equatable {
    /// The report as JSON.
    case report([UInt8])
    /// The question cannot be answered as it is: too many rows, a time zone that does not exist.
    case invalid(parameter: String?, reason: String)
    /// The tenant's earlier questions are still being answered.
    case busy
    /// The database did not answer in time, or is away.
    case unavailable
}
