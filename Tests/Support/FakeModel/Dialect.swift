/// The kinds of model server that the fake imitates. Four of them were measured; SGLang follows its documentation.
enum Dialect: String, CaseIterable, Sendable {
    case llamacpp, vllm, sglang, openai, transformers
}

/// Where a stream carries its usage.
enum UsagePlace: String, CaseIterable, Sendable {
    /// In the chunk with the finish reason, always.
    case last
    /// In a chunk of its own with no choices, always.
    case ownChunk = "own-chunk"
    /// In a chunk of its own when `stream_options.include_usage` asks for it.
    case asked
    /// Nowhere.
    case never
}

/// Whether the matched stop string stays in the text.
enum StopText: String, CaseIterable, Sendable { case excluded, included }

/// What becomes of text that was held back for a stop string when the token limit ends a stream.
enum HeldText: String, CaseIterable, Sendable { case flush, lose }

/// What stands for a character that the token limit has cut.
enum CutCharacter: String, CaseIterable, Sendable {
    /// U+FFFD, streamed or not.
    case replacement
    /// U+FFFD in whole answers, nothing in streams.
    case whole
    case nothing
}

/// How one server behaves where servers differ: one row of the table of measured behaviours.
struct Behaviour: Sendable, Equatable {
    /// How a matched stop string is reported beside the finish reason.
    enum MatchedStop: Sendable { case unreported, stopReason, matchedStop }
    /// What a final assistant message in a chat means.
    enum FinalAssistant: Sendable { case continued, onRequest, newTurn }
    /// What is done with a request that asks for something the server has not.
    enum Strictness: Sendable {
        case ignored
        case refused(status: Int)
    }

    var usageInCompletions = UsagePlace.asked
    var usageInChat = UsagePlace.asked
    var stopText = StopText.excluded
    var heldText = HeldText.flush
    var cutCharacter = CutCharacter.replacement
    /// Whether the stream ends with `[DONE]`.
    var done = true
    /// Whether comment lines are sent while nothing else is.
    var comments = false
    /// Whether a token whose text is held back is announced by an empty chunk.
    var emptyDeltas = false
    /// Whether a running count of tokens can be asked for.
    var runningUsage = false
    var matchedStop = MatchedStop.unreported
    var finalAssistant = FinalAssistant.newTurn
    /// Whether a whole answer repeats the assistant message that it continues.
    var repeatsPrefill = false
    var unknownModel = Strictness.ignored
    var unknownField = Strictness.ignored
    /// Whether `max_tokens: 0` and an empty prompt are refused.
    var refusesEmpty = true
    /// Whether the chunk with the finish reason carries the last text too.
    var finishCarriesText = false
    /// Whether as much text is held back as the longest stop string could need, not only what matches its start.
    var holdsWindow = false

    init(_ dialect: Dialect) {
        switch dialect {
        case .llamacpp:
            usageInCompletions = .last
            heldText = .lose
            cutCharacter = .whole
            comments = true
            emptyDeltas = true
            runningUsage = true
            finalAssistant = .continued
            repeatsPrefill = true
            refusesEmpty = false
        case .vllm:
            runningUsage = true
            emptyDeltas = true
            matchedStop = .stopReason
            finalAssistant = .onRequest
            unknownModel = .refused(status: 404)
            finishCarriesText = true
            holdsWindow = true
        case .sglang:
            runningUsage = true
            matchedStop = .matchedStop
            finalAssistant = .onRequest
            finishCarriesText = true
        case .openai:
            cutCharacter = .nothing
            unknownModel = .refused(status: 404)
            unknownField = .refused(status: 400)
        case .transformers:
            usageInCompletions = .last
            usageInChat = .last
            stopText = .included
            done = false
            unknownModel = .refused(status: 400)
            unknownField = .refused(status: 422)
        }
    }
}

extension Behaviour.Strictness: Equatable {}
