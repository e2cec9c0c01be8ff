/// A named place at which a build for the fault suite can kill its own process. In every other build a call is nothing.
package enum Failpoint: String, CaseIterable {
    case beforeGrant = "before_grant"
    case afterGrant = "after_grant"
    case beforeIntent = "before_intent"
    case afterIntent = "after_intent"
    case beforeCall = "before_call"
    case duringCall = "during_call"
    case afterCall = "after_call"
    case beforeLedger = "before_ledger"
    case afterLedger = "after_ledger"
    case beforeReturn = "before_return"
    case afterReturn = "after_return"
    case beforeHeartbeat = "before_heartbeat"

    /// Kills the process if `RELAYGATE_FAILPOINT` is `name:count` with this name and this is the count-th visit.
    @inline(__always)
    package static func reach(_ point: Failpoint) {
        #if Faults
            ArmedFailpoint.shared?.visit(point)
        #endif
    }
}
