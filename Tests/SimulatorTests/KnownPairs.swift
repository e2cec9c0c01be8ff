@testable import Simulator

/// A second pair table, of which everything is known: 1,000 requests in four kinds, all alike within a kind.
///
///     kind      requests   prompt   SLM tokens   LLM tokens   score
///     both           400      100           10           30       2
///     SLM only       100      100           10           30       1
///     LLM only       300      100           10           30       3
///     neither        200      100           10           30       2
///
/// Ten sites have a tenth of each kind, so that every draw of whole sites is the same.
enum KnownPairs {
    static let kinds = [(true, true, 400, 2), (true, false, 100, 1), (false, true, 300, 3), (false, false, 200, 2)]

    static var csv: String {
        var lines = ["question,small_right,large_right,small_length,large_length,prompt_length,score,site"]
        for (slm, llm, count, score) in kinds {
            for index in 0..<count {
                lines.append("q\(lines.count),\(slm),\(llm),10,30,100,\(score),site \(index % 10)")
            }
        }
        return lines.joined(separator: "\n")
    }

    static func table() throws -> PairTable {
        try PairTable(
            csv: csv.utf8,
            columns: PairColumns(
                "slm_correct=small_right,llm_correct=large_right,slm_tokens=small_length,llm_tokens=large_length,"
                    + "prompt_tokens=prompt_length"))
    }

    /// An SLM's request costs 100·1 + 10·2 = 120, an LLM's 100·10 + 30·20 = 1,600.
    static let prices = PairPrices(slmInput: 1, slmOutput: 2, llmInput: 10, llmOutput: 20)
}
