internal import Configuration
internal import Wire

/// Renders messages to the text that a model was trained on, for servers that do not offer it.
enum ChatTemplate {
    /// The text up to where the assistant's answer begins; nil when only the server can render it.
    static func render(_ messages: [ChatMessage], _ template: UpstreamConfiguration.Template) -> [UInt8]? {
        switch template {
        case .server: nil
        case .chatml: render(messages, "", ("<|im_start|>", "\n", "<|im_end|>\n"))
        case .llama3:
            render(messages, "<|begin_of_text|>", ("<|start_header_id|>", "<|end_header_id|>\n\n", "<|eot_id|>"))
        case .plain: renderPlain(messages)
        }
    }

    private static func render(
        _ messages: [ChatMessage], _ start: String, _ marks: (open: String, middle: String, close: String)
    ) -> [UInt8] {
        var text = Array(start.utf8)
        for message in messages {
            text += (marks.open + roleName(message.role) + marks.middle).utf8
            text += message.text
            text += marks.close.utf8
        }
        text += (marks.open + "assistant" + marks.middle).utf8
        return text
    }

    private static func renderPlain(_ messages: [ChatMessage]) -> [UInt8] {
        var text: [UInt8] = []
        for message in messages {
            let name = roleName(message.role)
            text += (name.prefix(1).uppercased() + name.dropFirst() + ": ").utf8
            text += message.text
            text += "\n\n".utf8
        }
        text += "Assistant:".utf8
        return text
    }

    /// Templates know three roles; `developer` is OpenAI's newer name for `system`.
    private static func roleName(_ role: ChatMessage.Role) -> String {
        switch role {
        case .system, .developer: "system"
        case .assistant: "assistant"
        case .user: "user"
        case .tool, .function: "tool"
        }
    }
}
