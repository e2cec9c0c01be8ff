import Foundation
import Testing

@testable import Wire

@Suite("Errors in OpenAI's shape")
struct WireErrorTests {
    @Test("Every code has a body that another parser reads", arguments: WireError.Code.allCases)
    func bodies(_ code: WireError.Code) throws {
        let error = WireError(code, "A \"quoted\" message\nwith a break", param: "messages[0]")
        let root = try foundation(error.body())
        #expect(root.count == 1)
        let body = try #require(root["error"] as? [String: Any])
        #expect(Set(body.keys) == ["message", "type", "param", "code"])
        #expect(body["message"] as? String == error.message)
        #expect(body["param"] as? String == "messages[0]")
        #expect(body["code"] as? String == code.rawValue)
        #expect(body["type"] as? String == code.type)
        #expect((400...503).contains(error.status))
    }

    @Test("A param that is not there is null, and long texts are cut")
    func cut() throws {
        let error = WireError(.invalidValue, String(repeating: "m", count: 5000))
        let body = try #require(try foundation(error.body())["error"] as? [String: Any])
        #expect(body["param"] is NSNull)
        #expect((body["message"] as? String)?.count == 1000)
        #expect(WireError(.invalidValue, "", param: String(repeating: "p", count: 500)).param?.count == 100)
    }

    @Test("Responses have the status that clients expect")
    func statuses() {
        let expected: [(WireError, Int)] = [
            (.invalidAPIKey(), 401), (.permissionDenied("use this model"), 403), (.modelNotFound("x"), 404),
            (.notFound(method: "GET", path: "/x"), 404), (.methodNotAllowed(allowed: "POST"), 405),
            (.requestTooLarge(limit: 5), 413), (.unsupportedMediaType(), 415),
            (.rateLimited("Too many requests."), 429), (.insufficientQuota("The budget is used up."), 429),
            (.upstreamFailed("It failed."), 502),
            (.unavailable("The gateway is stopping."), 503), (.contextLengthExceeded("Too long."), 400),
        ]
        for (error, status) in expected { #expect(error.status == status) }
        #expect(WireError.modelNotFound("x").code.rawValue == "model_not_found")
        #expect(WireError.invalidAPIKey().code.rawValue == "invalid_api_key")
    }
}
