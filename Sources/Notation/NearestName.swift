/// Finds the known name a mistyped one most likely meant, for "did you mean" in error messages.
package enum NearestName {
    /// The longest name that is compared. Longer input is never a typing error, and the work stays bounded.
    package static let lengthLimit = 64

    /// The candidate with the smallest edit distance to `name`, or nil when none is near.
    ///
    /// Near means at most one edit per three characters, and at least one allowed. Of equally near candidates
    /// the first in order is taken, so that the answer is always the same.
    package static func among(_ candidates: [String], to name: String) -> String? {
        let typed = Array(name.lowercased().unicodeScalars)
        guard !typed.isEmpty, typed.count <= lengthLimit else { return nil }
        let allowed = max(1, typed.count / 3)
        var best: (name: String, distance: Int)?
        for candidate in candidates where candidate.unicodeScalars.count <= lengthLimit {
            let distance = editDistance(typed, Array(candidate.lowercased().unicodeScalars))
            if distance <= allowed, distance < (best?.distance ?? Int.max) {
                best = (candidate, distance)
            }
        }
        return best?.name
    }

    /// The number of insertions, deletions, replacements and swaps of neighbours that turn one text into the other.
    static func editDistance(_ first: [Unicode.Scalar], _ second: [Unicode.Scalar]) -> Int {
        var beforePrevious: [Int] = []
        var previous = Array(0...second.count)
        for row in first.indices {
            var current = [row + 1]
            current.reserveCapacity(second.count + 1)
            for column in second.indices {
                let replaced = previous[column] + (first[row] == second[column] ? 0 : 1)
                var cost = min(replaced, previous[column + 1] + 1, current[column] + 1)
                let swapped =
                    row > 0 && column > 0 && first[row] == second[column - 1]
                    && first[row - 1] == second[column]
                if swapped { cost = min(cost, beforePrevious[column - 1] + 1) }
                current.append(cost)
            }
            beforePrevious = previous
            previous = current
        }
        return previous[second.count]
    }
}
