internal import Configuration
internal import RelayCore
internal import Wire

/// The prompts of one request, rendered once for each role. *Loop thread.*
final class PromptBook {
    /// What a generation's request begins with.
    enum Prompt {
        /// Text for `/completions`, to which the view is appended.
        case text([UInt8])
        /// Messages for `/chat/completions`; the view is a final assistant message.
        case chat
    }

    private enum Page {
        case blank
        case rendering(PromptRendering, waiting: [(Result<Prompt, UpstreamFailure>) -> Void])
        case written(Prompt)
    }

    private let request: InferenceRequest
    private let model: PublicModel
    private let core: LoopCore
    private var pages: [Role: Page] = [:]

    init(_ request: InferenceRequest, model: PublicModel, core: LoopCore) {
        self.request = request
        self.model = model
        self.core = core
    }

    /// Gives the prompt of a role for a server, at once when nobody has to be asked.
    func prompt(
        _ role: Role, for upstream: Upstream, _ completion: @escaping (Result<Prompt, UpstreamFailure>) -> Void
    ) {
        switch pages[role] ?? .blank {
        case .written(let prompt):
            completion(.success(prompt))
        case .rendering(let rendering, let waiting):
            pages[role] = .rendering(rendering, waiting: waiting + [completion])
        case .blank:
            if let prompt = ownPrompt(role, upstream) {
                pages[role] = .written(prompt)
                return completion(.success(prompt))
            }
            let rendering = PromptRendering(request.rawMessages, link: core.upstreams.link(upstream), core: core) {
                [weak self] in self?.rendered(role, $0)
            }
            pages[role] = .rendering(rendering, waiting: [completion])
        }
    }

    /// Has the prompt of a role rendered before it is needed, so that the hand-over does not wait for it.
    func prepare(_ role: Role, for upstream: Upstream) { prompt(role, for: upstream) { _ in } }

    func cancel() {
        for case .rendering(let rendering, _) in pages.values { rendering.cancel() }
        pages = [:]
    }

    private func rendered(_ role: Role, _ result: Result<[UInt8], UpstreamFailure>) {
        guard case .rendering(_, let waiting) = pages[role] else { return }
        let prompt = result.map { Prompt.text($0) }
        // A failure is not kept: the next attempt asks again, perhaps another server.
        pages[role] = (try? prompt.get()).map { .written($0) }
        for completion in waiting { completion(prompt) }
    }

    /// Fields that only a chat endpoint can serve, and content that no template of text can hold.
    private var needsChat: Bool {
        request.endpoint == .chat
            && (request.passthrough.contains { $0.singleOnly }
                || request.messages.contains { $0.hasNonText || $0.hasTools })
    }

    private func ownPrompt(_ role: Role, _ upstream: Upstream) -> Prompt? {
        if role == .slm, let prompted = model.prompted {
            return .text(
                request.endpoint == .chat ? prompted.render(request.messages) : prompted.render(request.prompt))
        }
        if request.endpoint == .completions { return .text(request.prompt) }
        if needsChat || upstream.configuration.continuation == .chat { return .chat }
        return ChatTemplate.render(request.messages, upstream.configuration.template).map { .text($0) }
    }
}
