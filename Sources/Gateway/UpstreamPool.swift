internal import Configuration
internal import HTTPClient
internal import Reactor

/// What one loop keeps for each upstream: prepared URLs and headers, and which replicas failed lately. *Loop thread.*
final class UpstreamPool {
    struct Link {
        let upstream: Upstream
        let client: HTTPClient
        let headers: HTTPHeaders
        let timeouts: HTTPTimeouts
        let completions: String
        let chat: String
        /// The server's root, where endpoints that are not OpenAI's live.
        let root: String
        var failedUntil: ContinuousClock.Instant?
        /// Answers that went on behind their limit, one after the other.
        var overruns = 0
    }

    private var links: [Link] = []
    private var turn = 0
    private let loop: EventLoop

    /// How long a replica that failed is tried only after the others.
    private static let failurePause = Duration.seconds(2)
    /// A replica that goes on behind its limit so many times in a row is tried only after the others, for so long.
    private static let overrunLimit = 3
    private static let overrunPause = Duration.seconds(60)

    init(_ catalog: Catalog, loop: EventLoop) throws(SystemError) {
        self.loop = loop
        for upstream in catalog.upstreams {
            let configuration = upstream.configuration
            var fields = [
                (name: "Content-Type", value: "application/json"), (name: "Accept", value: "text/event-stream"),
            ]
            if let key = configuration.apiKey {
                fields.append((name: "Authorization", value: "Bearer " + key.reveal()))
            }
            let client = try HTTPClient(
                loop: loop, connectTimeout: configuration.connectTimeout, idleConnections: configuration.idleConnections
            )
            links.append(
                Link(
                    upstream: upstream, client: client, headers: HTTPHeaders(fields),
                    timeouts: HTTPTimeouts(
                        firstByte: configuration.firstByteTimeout, idle: configuration.idleTimeout),
                    completions: "\(configuration.url)/completions",
                    chat: "\(configuration.url)/chat/completions", root: configuration.url.root))
        }
    }

    func link(_ upstream: Upstream) -> Link { links[upstream.index] }

    /// The replicas in the order in which they are to be tried: the preferred one first, so that prefix caches hit,
    /// then by turns, those that failed lately last.
    func order(_ replicas: [Upstream], preferring preferred: Int?) -> [Upstream] {
        turn &+= 1
        let start = turn % max(1, replicas.count)
        var order = Array(replicas[start...] + replicas[..<start])
        if let preferred, let place = order.firstIndex(where: { $0.index == preferred }) {
            order.insert(order.remove(at: place), at: 0)
        }
        let now = loop.now
        return order.filter { !isFailing($0, now) } + order.filter { isFailing($0, now) }
    }

    func noteFailure(_ upstream: Upstream) {
        links[upstream.index].failedUntil = loop.now + UpstreamPool.failurePause
    }

    func noteSuccess(_ upstream: Upstream) {
        links[upstream.index].failedUntil = nil
        links[upstream.index].overruns = 0
    }

    func noteOverrun(_ upstream: Upstream) {
        links[upstream.index].overruns += 1
        guard links[upstream.index].overruns >= UpstreamPool.overrunLimit else { return }
        links[upstream.index].overruns = 0
        links[upstream.index].failedUntil = loop.now + UpstreamPool.overrunPause
    }

    private func isFailing(_ upstream: Upstream, _ now: ContinuousClock.Instant) -> Bool {
        links[upstream.index].failedUntil.map { $0 > now } ?? false
    }
}
