/// A seeded bug of the fault suite: the suite is right only if it notices each of them.
package enum Canary: String, CaseIterable {
    /// Each charge is settled two times.
    case settleTwice = "settle_twice"
    /// What a dead gateway's lease holds goes back to the pool.
    case returnOnExpiry = "return_on_expiry"
    /// A reservation is given when the database cannot be asked.
    case failOpen = "fail_open"
    /// The conflict of a repeated message is not looked at.
    case skipConflict = "skip_conflict"
    /// What the server reports is charged, whatever was counted and reserved.
    case chargeReported = "charge_reported"

    /// Whether this build has this bug: never without the trait `Faults`, else as `RELAYGATE_CANARY` says.
    @inline(__always)
    package static func `is`(_ canary: Canary) -> Bool {
        #if Faults
            return FaultEnvironment.canary == canary
        #else
            return false
        #endif
    }
}
