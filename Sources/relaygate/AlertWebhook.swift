internal import Accounting
internal import Arguments
internal import Configuration
internal import HTTPClient
internal import Reactor
internal import Store
internal import Telemetry
internal import Wire

/// Posts budget alerts to the operator's webhook, on a thread of its own: a webhook that hangs delays nobody.
///
/// An alert is posted up to four times until the answer is a 2xx. The rows of `budget_alerts` are what counts; a
/// webhook that was down for longer finds what it missed there.
final class AlertWebhook: Sendable {
    private let url: String
    private let logger: Logger
    private let thread: LoopThread
    private let sender: LoopBoundSender

    /// Nil when the configuration has no webhook.
    static func start(_ configuration: GatewayConfiguration, logger: Logger) throws(SystemError) -> AlertWebhook? {
        guard let url = configuration.budgets.webhook?.reveal() else { return nil }
        return try AlertWebhook(url, logger)
    }

    private init(_ url: String, _ logger: Logger) throws(SystemError) {
        self.url = url
        self.logger = logger
        let sender = LoopBoundSender()
        thread = try LoopThread.start(name: "alerts") { loop in
            sender.client = try? HTTPClient(loop: loop, connectTimeout: .seconds(3), idleConnections: 1)
            return sender
        }
        self.sender = sender
    }

    /// Posts an alert; returns at once.
    func post(_ alert: BudgetAlert) {
        let body = AlertWebhook.body(alert)
        thread.loop.post { [self] in attempt(body, 1, alert) }
    }

    private func attempt(_ body: [UInt8], _ number: Int, _ alert: BudgetAlert) {
        let loop = thread.loop
        let post = AlertPost { [self] status in
            if let status, (200..<300).contains(status) { return }
            guard number < 4 else {
                return logger.error(
                    "budget alert could not be delivered",
                    [
                        "tenant": .string(alert.tenant), "budget": .string(alert.budget),
                        "percent": .integer(alert.percent), "status": .integer(status ?? 0),
                    ])
            }
            loop.schedule(after: .milliseconds(500 << (2 * (number - 1)))) { [self] in
                attempt(body, number + 1, alert)
            }
        }
        let headers = HTTPHeaders([(name: "Content-Type", value: "application/json")])
        let timeouts = HTTPTimeouts(firstByte: .seconds(5), idle: .seconds(5))
        do throws(HTTPClientError) {
            post.transfer = try sender.client?.start(
                url: url, headers: headers, body: body, timeouts: timeouts, delegate: post)
            post.keepAlive()
        } catch {
            post.end(nil)
        }
    }

    /// What the webhook gets.
    private static func body(_ alert: BudgetAlert) -> [UInt8] {
        var body: [UInt8] = []
        body.append(json: #"{"event":"budget_threshold","tenant":"#)
        body.append(jsonString: alert.tenant)
        body.append(json: #","key":"#)
        body += (alert.key?.json ?? "null").utf8
        body.append(json: #","budget":"#)
        body.append(jsonString: alert.budget)
        body.append(json: #","window":"#)
        body.append(jsonString: alert.window)
        body.append(json: #","window_start":"#)
        body.append(jsonString: alert.windowStart.rfc3339)
        body.append(json: #","window_end":"#)
        body += (alert.windowEnd?.rfc3339.json ?? "null").utf8
        body.append(json: #","percent":"#)
        body.append(jsonInteger: alert.percent)
        body.append(json: #","used":"#)
        body.append(jsonInteger: alert.used)
        body.append(json: #","unreconciled":"#)
        body.append(jsonInteger: alert.unreconciled)
        body.append(json: #","amount":"#)
        body.append(jsonInteger: alert.amount)
        body.append(json: "}")
        return body
    }

    func stop() {
        let (loop, sender) = (thread.loop, sender)
        loop.post {
            sender.client = nil
            loop.stop()
        }
        thread.join()
    }
}

/// The client of the webhook's thread. `@unchecked Sendable`: it is set and used on that thread only.
private final class LoopBoundSender: @unchecked Sendable {
    var client: HTTPClient?
}

/// One post: tells its status once, nil when there was none.
private final class AlertPost: HTTPTransferDelegate {
    var transfer: HTTPTransfer?
    private var ended: ((Int?) -> Void)?
    /// The client holds its delegates weakly; this holds the post until it is over.
    private var itself: AlertPost?

    init(_ ended: @escaping (Int?) -> Void) { self.ended = ended }

    func keepAlive() { itself = self }

    func end(_ status: Int?) {
        let ended = self.ended
        self.ended = nil
        itself = nil
        ended?(status)
    }

    func transfer(_ transfer: HTTPTransfer, received bytes: [UInt8], status: Int) {}
    func transferEnded(_ transfer: HTTPTransfer, status: Int) { end(status) }
    func transferFailed(_ transfer: HTTPTransfer, _ error: HTTPClientError) { end(nil) }
}
