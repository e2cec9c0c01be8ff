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
            core.verdicts.record(body.verdicts, tenant: caller.tenantID, on: core.loop) { isKnown in
                let (gateway, exchange) = bound.value
                gateway.answer(exchange, caller, body, isKnown)
                gateway.verdictsEnded()
            }
        } catch {
            refuse(exchange, error, caller: caller)
        }
    }

    private func answer(_ exchange: HTTPExchange, _ caller: KeyIdentity, _ body: VerdictBody, _ isKnown: [Bool]?) {
        guard !exchange.isClosed else { return }
        guard let isKnown else {
            return refuse(exchange, .unavailable("The gateway cannot reach its database."), caller: caller)
        }
        guard body.isArray || isKnown.first == true else {
            return refuse(exchange, VerdictAnswer.requestNotFound(), caller: caller)
        }
        exchange.respond(status: 200, headers: GatewayLoop.json, body: VerdictAnswer.body(body, isKnown: isKnown))
    }
}
