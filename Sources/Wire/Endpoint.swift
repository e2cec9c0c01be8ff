/// The two inference endpoints of OpenAI's API that are served.
package enum Endpoint: String, Sendable, CaseIterable {
    /// `POST /v1/chat/completions`.
    case chat
    /// `POST /v1/completions`.
    case completions

    /// `object` of a complete response.
    package var object: StaticString {
        switch self {
        case .chat: "chat.completion"
        case .completions: "text_completion"
        }
    }

    /// `object` of a chunk of a stream.
    package var chunkObject: StaticString {
        switch self {
        case .chat: "chat.completion.chunk"
        case .completions: "text_completion"
        }
    }

    /// How ids of responses begin.
    package var idPrefix: StaticString {
        switch self {
        case .chat: "chatcmpl-"
        case .completions: "cmpl-"
        }
    }
}
