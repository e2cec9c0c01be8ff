internal import Accounting
internal import Configuration
internal import HTTPServer
internal import Reactor
internal import Telemetry
internal import Wire

/// The gateway on one loop: routes, admission and the requests under way. *Loop thread.*
final class GatewayLoop: HTTPHandler, SessionOwner {
    let core: LoopCore
    let server: HTTPServer
    private let started = LoopCore.wallClock()
    private var sessions: [ObjectIdentifier: RequestSession] = [:]
    private(set) var isDraining = false
    /// Verdicts on their way to the database.
    private var verdictsUnderWay = 0
    private var onDrained: (() -> Void)?
    private let metrics: @Sendable () -> [UInt8]

    init(_ settings: GatewaySettings, socket: consuming ListenSocket, loop: EventLoop) throws(SystemError) {
        core = try LoopCore(settings, loop: loop)
        metrics = settings.metrics
        let listen = settings.configuration.listen
        server = try HTTPServer(
            loop: loop, socket: socket,
            limits: HTTPServerLimits(
                body: listen.bodyLimit, header: listen.headerLimit, connections: listen.connectionLimit,
                idle: listen.idleTimeout))
        server.handler = self
    }

    // MARK: Stopping

    /// Accepts nothing more and calls `onDrained` when the last request is over. Requests that are not over after
    /// `deadline` are cut.
    func drain(deadline: Duration, _ onDrained: @escaping () -> Void) {
        isDraining = true
        self.onDrained = onDrained
        server.quiesce()
        core.logger.info("draining", ["requests": .integer(sessions.count)])
        core.loop.schedule(after: deadline) { [weak self] in
            guard let self else { return }
            for session in sessions.values { session.cut() }
        }
        finishDraining()
    }

    private func finishDraining() {
        guard isDraining, sessions.isEmpty, verdictsUnderWay == 0, let onDrained else { return }
        self.onDrained = nil
        // The last responses still have to leave the sockets' buffers.
        core.loop.schedule(after: .milliseconds(50)) { [server] in
            server.stop()
            onDrained()
        }
    }

    func verdictsBegan() { verdictsUnderWay += 1 }

    func verdictsEnded() {
        verdictsUnderWay -= 1
        finishDraining()
    }

    func sessionEnded(_ session: RequestSession) {
        sessions[ObjectIdentifier(session)] = nil
        finishDraining()
    }

    // MARK: Routes

    func began(_ exchange: HTTPExchange) {
        if let fault = exchange.framingFault {
            let error = WireError(.invalidRequest, "The request has \(fault). Send it as HTTP/1.1 wants it.")
            return refuse(exchange, error, closing: true)
        }
        // What is wrong with the head is said before the body is read.
        guard let route = Route(exchange.path) else {
            return refuse(exchange, .notFound(method: exchange.method, path: exchange.path))
        }
        guard route.accepts(exchange.method) else {
            return refuse(exchange, .methodNotAllowed(allowed: route.methods), headers: [("allow", route.methods)])
        }
        // Whoever sends no key, or one that is known to be wrong, has no body worth reading.
        if route.hasBody, !GatewayLoop.mayBeKnown(exchange, core) {
            return refuse(exchange, .invalidAPIKey(), closing: exchange.header("expect") != nil)
        }
        if route.hasBody, let length = exchange.header("content-length").flatMap({ Int($0) }),
            length > core.configuration.listen.bodyLimit
        {
            // A caller who waits for "100 Continue", or has far more to send than is worth reading, is not let begin.
            let isClosing = exchange.header("expect") != nil || length > 64 << 20
            refuse(exchange, .requestTooLarge(limit: core.configuration.listen.bodyLimit), closing: isClosing)
        }
    }

    func received(_ exchange: HTTPExchange) {
        switch Route(exchange.path) {
        case .liveness: exchange.respond(status: 200, headers: GatewayLoop.json, body: Array(#"{"status":"ok"}"#.utf8))
        case .readiness: readiness(exchange)
        case .metrics:
            exchange.respond(
                status: 200, headers: [("content-type", "text/plain; version=0.0.4; charset=utf-8")],
                body: core.counters.text() + metrics())
        case .models: authenticated(exchange) { [self] _ in models(exchange) }
        case .model(let name): authenticated(exchange) { [self] _ in model(exchange, name) }
        case .usage: authenticated(exchange) { [self] in usage(exchange, $0) }
        case .inference(let endpoint): authenticated(exchange) { [self] in admit(exchange, endpoint, $0) }
        case .verdicts: authenticated(exchange) { [self] in judge(exchange, $0) }
        case nil: exchange.respond(.notFound(method: exchange.method, path: exchange.path))
        }
    }

    static let json = [("content-type", "application/json")]

    private func readiness(_ exchange: HTTPExchange) {
        let state: StaticString? =
            isDraining
            ? "draining" : !core.keys.isReady ? "database_unavailable" : core.ledger.isFull ? "ledger_full" : nil
        var body: [UInt8] = []
        body.append(json: #"{"status":""#)
        body.append(json: state ?? "ready")
        body.append(json: core.ledger.isSpooling ? #"","ledger":"spooled"}"# : #""}"#)
        exchange.respond(status: state == nil ? 200 : 503, headers: GatewayLoop.json, body: body)
    }

    private func models(_ exchange: HTTPExchange) {
        let created = Int(started.microseconds / 1_000_000)
        let list = core.catalog.models.map { ModelList.Model(id: $0.name, created: created) }
        exchange.respond(status: 200, headers: GatewayLoop.json, body: ModelList.body(list))
    }

    private func model(_ exchange: HTTPExchange, _ name: String) {
        guard let model = core.catalog.model(name) else { return exchange.respond(.modelNotFound(name)) }
        let created = Int(started.microseconds / 1_000_000)
        exchange.respond(
            status: 200, headers: GatewayLoop.json, body: ModelList.Model(id: model.name, created: created).body())
    }

    private func usage(_ exchange: HTTPExchange, _ caller: KeyIdentity) {
        do throws(WireError) {
            guard caller.scopes.contains("usage.read") else { throw .permissionDenied("read usage") }
            let query = try UsageRoute.query(exchange.parameters)
            let bound = LoopBound((self, exchange), on: core.loop)
            core.usage.report(query, tenant: caller.tenantID, on: core.loop) { answer in
                let (gateway, exchange) = bound.value
                guard !exchange.isClosed else { return }
                guard case .report(let body) = answer else {
                    let wait = answer == .busy || answer == .unavailable ? [("retry-after", "1")] : []
                    return gateway.refuse(exchange, UsageRoute.error(answer), caller: caller, headers: wait)
                }
                exchange.respond(status: 200, headers: GatewayLoop.json, body: body)
            }
        } catch {
            refuse(exchange, error, caller: caller)
        }
    }

    // MARK: Admission

    /// Calls `next` when the request carries a valid key, and answers otherwise.
    private func authenticated(_ exchange: HTTPExchange, _ next: @escaping (KeyIdentity) -> Void) {
        guard let key = GatewayLoop.presentedKey(exchange) else { return refuse(exchange, .invalidAPIKey()) }
        let bound = LoopBound((self, exchange, next), on: core.loop)
        let now = core.keys.lookup(key, on: core.loop) { result in
            let (gateway, exchange, next) = bound.value
            gateway.proceed(exchange, result, next)
        }
        if let now { proceed(exchange, now, next) }
    }

    private func proceed(_ exchange: HTTPExchange, _ result: KeyResult, _ next: (KeyIdentity) -> Void) {
        // The caller may have left while the key was looked up.
        guard !exchange.isClosed else { return }
        switch result {
        case .found(let caller): next(caller)
        // Which of these it is, the caller is not told.
        case .unknown, .revoked, .expired: refuse(exchange, .invalidAPIKey())
        case .unavailable: refuse(exchange, .unavailable("The gateway cannot reach its database."))
        }
    }

    /// Answers a request that is not admitted. It has an id all the same, by which the log can be searched.
    func refuse(
        _ exchange: HTTPExchange, _ error: WireError, caller: KeyIdentity? = nil, model: PublicModel? = nil,
        headers: [(String, String)] = [], closing: Bool = false
    ) {
        let now = LoopCore.wallClock()
        let id = core.newID(now).description
        if let caller {
            core.ledger.noteRefusal(
                tenant: caller.tenantID, key: caller.keyID, model: model?.name ?? "", code: error.code.rawValue, at: now
            )
        }
        core.logger.info(
            "refused",
            [
                "id": .string(id), "tenant": .string(caller?.tenantName ?? ""), "path": .string(exchange.path),
                "peer": .string(exchange.peer), "status": .integer(error.status), "code": .string(error.code.rawValue),
            ])
        exchange.respond(error, headers: headers + [("x-request-id", id)], closing: closing)
    }

    /// Whether a key is presented that is not already known to be wrong.
    private static func mayBeKnown(_ exchange: HTTPExchange, _ core: LoopCore) -> Bool {
        guard let key = presentedKey(exchange) else { return false }
        // Asked early, the answer is there when the body is.
        switch core.keys.lookup(key, on: core.loop, { _ in }) {
        case .unknown, .revoked, .expired: return false
        case .found, .unavailable, nil: return true
        }
    }

    private static func presentedKey(_ exchange: HTTPExchange) -> String? {
        if let value = exchange.header("authorization") {
            let parts = value.split(separator: " ", maxSplits: 1)
            guard parts.count == 2, parts[0].lowercased() == "bearer" else { return nil }
            return String(parts[1].drop { $0 == " " })
        }
        return exchange.header("x-api-key")
    }

    static func isJSON(_ contentType: String) -> Bool {
        let type = contentType.prefix { $0 != ";" }.lowercased()
        return type.reversed().drop { $0 == " " || $0 == "\t" }.elementsEqual("application/json".reversed())
    }

    private func admit(_ exchange: HTTPExchange, _ endpoint: Endpoint, _ caller: KeyIdentity) {
        do throws(WireError) {
            guard !isDraining else { throw .unavailable("The gateway is being stopped.") }
            guard caller.scopes.contains("inference") else { throw .permissionDenied("request completions") }
            guard !exchange.isBodyOver else { throw .requestTooLarge(limit: server.limits.body) }
            if let type = exchange.header("content-type"), !GatewayLoop.isJSON(type) {
                throw .unsupportedMediaType()
            }
            guard !core.ledger.isFull else { throw .unavailable("The ledger cannot keep up.") }
            let request = try InferenceRequest(
                parsing: exchange.body, endpoint: endpoint,
                limits: InferenceRequest.Limits(choices: core.configuration.listen.maxChoices), with: &core.parser)
            let name = request.model == "default" ? caller.defaultModel ?? request.model : request.model
            guard let model = core.catalog.model(name) else { throw .modelNotFound(name) }
            try request.check(for: model.policyClass)
            Admission(core: core, request: request, model: model, caller: caller, exchange: exchange).admit(
                { [self] rates in start(request, model, caller, exchange, rates) },
                refuse: { [self] error, headers in
                    refuse(exchange, error, caller: caller, model: model, headers: headers)
                })
        } catch {
            refuse(exchange, error, caller: caller)
        }
    }

    private func start(
        _ request: InferenceRequest, _ model: PublicModel, _ caller: KeyIdentity, _ exchange: HTTPExchange,
        _ rates: consuming Reservation
    ) {
        let now = LoopCore.wallClock()
        exchange.releaseBody()
        let session = RequestSession(
            request, model: model, caller: caller, exchange: exchange, id: core.newID(now), at: now, rates: rates,
            core: core, owner: self)
        sessions[ObjectIdentifier(session)] = session
        session.begin()
    }
}
