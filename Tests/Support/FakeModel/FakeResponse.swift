import HTTPServer

/// A whole response.
struct FakeResponse {
    var status: Int
    var headers: [(String, String)] = []
    var body: [UInt8]
    var contentType = "application/json"

    /// A JSON body made of text that needs no escaping.
    static func json(_ text: String, status: Int = 200) -> FakeResponse {
        FakeResponse(status: status, body: Array(text.utf8))
    }
}

extension HTTPExchange {
    /// Answers with a response of the fake.
    func respond(_ response: FakeResponse) {
        respond(
            status: response.status, headers: [("content-type", response.contentType)] + response.headers,
            body: response.body)
    }
}
