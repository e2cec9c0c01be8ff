internal import Accounting
internal import HTTPServer
internal import Reactor
internal import Wire

/// `POST /v1/verdicts`: callers say whether answers were right. *Loop thread.*
extension GatewayLoop {
    func judge(_ exchange: HTTPExchange, _ caller: KeyIdentity) {
        do throws(WireError) {
            guard !isDraining else { throw .unavailable("The gateway is being stopped.") }
            guard caller.scopes.contains("inference") else { throw .permissionDenied("judge answers") }
            guard !exchange.isBodyOver else { throw .requestTooLarge(limit: server.limits.body) }
            if let type = exchange.header("content-type"), !GatewayLoop.isJSON(type) {
                throw .unsupportedMediaType()
            }
            let body = try VerdictBody(parsing: exchange.body, now: LoopCore.wallClock(), with: &core.parser)
            exchange.releaseBody()
            verdictsBegan()
            let bound = LoopBound((self, exchange), on: core.loop)
            core.verdicts.record(body.verdicts, tenant: caller.tenantID, on: core.loop) { outcomes in
                let (gateway, exchange) = bound.value
                gateway.answer(exchange, caller, body, outcomes)
                gateway.verdictsEnded()
            }
        } catch {
            refuse(exchange, error, caller: caller)
        }
    }

    private func answer(
        _ exchange: HTTPExchange, _ caller: KeyIdentity, _ body: VerdictBody, _ outcomes: [VerdictOutcome]?
    ) {
        guard !exchange.isClosed else { return }
        guard let outcomes else {
            return refuse(exchange, .unavailable("The gateway cannot reach its database."), caller: caller)
        }
        if !body.isArray, let error = VerdictAnswer.error(outcomes.first ?? .unknown) {
            return refuse(exchange, error, caller: caller)
        }
        exchange.respond(status: 200, headers: GatewayLoop.json, body: VerdictAnswer.body(body, outcomes))
    }
}
