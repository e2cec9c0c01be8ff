/// A number as it was counted: whole, a ratio of whole numbers, or one that needed a root or a logarithm.
///
/// Sums are whole numbers, so that neither the order of requests nor the number of threads can be seen in them.
package enum Number: Sendable, Equatable {
    case whole(Int128)
    /// Numerator and denominator; the denominator is positive.
    case ratio(Int128, Int128)
    case real(Double)

    /// The nearest floating-point number.
    package var double: Double {
        switch self {
        case .whole(let value): Double(value)
        case .ratio(let numerator, let denominator): Double(numerator) / Double(denominator)
        case .real(let value): value
        }
    }
}

/// What a number counts; its name is printed with it.
package enum Unit: String, Sendable, Equatable {
    case requests, calls, tokens
    /// Pico-dollars, 10^-12 $; printed as dollars.
    case picoDollars
    /// A part of one, from 0 to 1.
    case share
    /// Hundredths of a share, as the paper's tables have them.
    case percentagePoints
    /// A quotient that is no share.
    case ratio
    case milliseconds
    /// Billions of parameters for each token.
    case billionParameters
    /// What requests are routed by. It is printed as the shortest decimal that reads back as the same number, since
    /// whoever rounds a threshold has another router.
    case score
}

/// A confidence interval: how sure a sample makes us, which is another question than whether the number is exact.
package struct Interval: Sendable, Equatable {
    package var low: Number
    package var high: Number
    /// For example 0.95.
    package var level: Double
    /// Such as "paired bootstrap by question, 2000 replicates, nearest rank".
    package var method: String

    package init(low: Number, high: Number, level: Double, method: String) {
        self.low = low
        self.high = high
        self.level = level
        self.method = method
    }
}

/// One output of a simulation: a number and what is known about it.
package struct Finding: Sendable, Equatable {
    package enum Knowledge: Sendable, Equatable {
        /// Follows from the data, with no assumption.
        case exact(Number)
        /// The data leave room; the truth lies between these, both included.
        case bounded(Number, Number)
        /// Bounded at one side: the truth is this or more, and no upper end is known.
        case atLeast(Number)
        /// An estimator's value, which is not a bound; it always has a reason that names the estimator.
        case estimated(Number)
        /// The data cannot say.
        case unknown
    }

    package var knowledge: Knowledge
    package var unit: Unit
    /// Why it is not exact; nil when it is.
    package var reason: String?
    package var interval: Interval?

    package static func exact(_ number: Number, _ unit: Unit, interval: Interval? = nil) -> Finding {
        Finding(knowledge: .exact(number), unit: unit, reason: nil, interval: interval)
    }

    /// Exact when both bounds are the same.
    package static func bounded(_ low: Number, _ high: Number, _ unit: Unit, reason: String) -> Finding {
        low == high
            ? .exact(low, unit)
            : Finding(knowledge: .bounded(low, high), unit: unit, reason: reason, interval: nil)
    }

    package static func atLeast(_ low: Number, _ unit: Unit, reason: String) -> Finding {
        Finding(knowledge: .atLeast(low), unit: unit, reason: reason, interval: nil)
    }

    package static func estimated(
        _ number: Number, _ unit: Unit, estimator: String, interval: Interval? = nil
    ) -> Finding {
        Finding(knowledge: .estimated(number), unit: unit, reason: estimator, interval: interval)
    }

    package static func unknown(_ unit: Unit, reason: String) -> Finding {
        Finding(knowledge: .unknown, unit: unit, reason: reason, interval: nil)
    }
}
