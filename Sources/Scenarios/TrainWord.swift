package import Simulator

/// How requests are split, in one word, as `--train` has it: `0.5`, or with an order, `0.5/random`.
package enum TrainWord {
    /// Nil for a word that is no split.
    package static func split(_ text: String) -> TrainSplit? {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard (1...2).contains(parts.count), let share = Decimals.double(parts[0]),
            TrainSplit.shares.contains(share)
        else { return nil }
        guard parts.count == 2 else { return TrainSplit(share: share) }
        return TrainSplit.Order(rawValue: parts[1]).map { TrainSplit(share: share, order: $0) }
    }
}
