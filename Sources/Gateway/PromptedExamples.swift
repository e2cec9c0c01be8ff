internal import Configuration
internal import Wire

/// What teaches the command to an SLM that was not trained on it: a system text and worked examples in front of the
/// question, as plain text. Chat templates were tried and teach small models less (see `Docs/relay.md`).
struct PromptedExamples: Sendable {
    private let head: [UInt8]

    /// Where the SLM begins a question of its own, its answer is over.
    static let endMarkers = [Array("\n\n".utf8), Array("\nQuestion:".utf8)]

    init(_ own: ModelConfiguration.Prompted?) {
        var text = own?.system ?? PromptedExamples.system
        let examples = own?.examples?.map { ($0.question, $0.answer) } ?? PromptedExamples.examples
        for (question, answer) in examples {
            text += "\n\nQuestion: \(question)\nAnswer: \(answer)"
        }
        head = Array(text.utf8)
    }

    /// The whole prompt: what was said before as text, the last user message as the question.
    func render(_ messages: [ChatMessage]) -> [UInt8] {
        var text = head
        let question = messages.lastIndex { $0.role == .user } ?? messages.count - 1
        for (index, message) in messages.enumerated() where index != question {
            text += "\n\n".utf8
            text += message.text
        }
        return text + questionPart(messages[question].text)
    }

    /// The whole prompt for a question that came without messages.
    func render(_ question: [UInt8]) -> [UInt8] { head + questionPart(question) }

    private func questionPart(_ question: [UInt8]) -> [UInt8] {
        Array("\n\nQuestion: ".utf8) + question + Array("\nAnswer:".utf8)
    }

    private static let system = """
        Solve each word problem in a few short sentences. Before a step that needs computing, write <call>n</call> to \
        let a stronger model write the next n tokens.
        """

    private static let examples = [
        (
            "Mia packs 6 boxes with 12 pencils in each box. She gives away 10 pencils. How many pencils does she have left?",
            """
            First we find how many pencils Mia packs. <call>24</call> She packs 6 * 12 = 72 pencils. Then we subtract \
            the pencils she gives away. <call>24</call> She has 72 - 10 = 62 pencils left. The answer is 62.
            """
        ),
        (
            "A bus ticket costs $3 and a museum ticket costs $9. How much do 5 friends pay in total?",
            """
            First we add the two prices for one friend. <call>40</call> One friend pays 3 + 9 = 12 dollars, so 5 friends \
            pay 5 * 12 = 60 dollars. The answer is 60.
            """
        ),
        (
            "Leo reads 15 pages a day for 8 days. The book has 200 pages. How many pages are left?",
            """
            First we find how many pages Leo has read. <call>12</call> He has read 15 * 8 = 120 pages. Then we find the \
            pages that are left. <call>20</call> There are 200 - 120 = 80 pages left. The answer is 80.
            """
        ),
    ]
}
