#if Faults
    import Glibc

    /// What the environment asks a build with the trait `Faults` to do wrong. Read once.
    package enum FaultEnvironment {
        /// The seeded bug; nil when the variable is not set.
        static let canary = named("RELAYGATE_CANARY").map { name in
            guard let canary = Canary(rawValue: name) else { fatalError("RELAYGATE_CANARY knows no \(name)") }
            return canary
        }

        /// The lifetime of a lease, so that a test need not wait for the real one; nil when it is not set.
        package static let leaseLifetime = named("RELAYGATE_LEASE_TTL_MS").map { text in
            guard let count = Int64(text), count > 0 else {
                fatalError("RELAYGATE_LEASE_TTL_MS is not a count: \(text)")
            }
            return Duration.milliseconds(count)
        }

        static func named(_ name: String) -> String? {
            guard let text = unsafe getenv(name), unsafe text.pointee != 0 else { return nil }
            return unsafe String(cString: text)
        }
    }
#else
    /// What the environment asks a build with the trait `Faults` to do wrong; this build asks it nothing.
    package enum FaultEnvironment {
        /// The lifetime of a lease that a test asks for.
        @inlinable
        package static var leaseLifetime: Duration? { nil }
    }
#endif
