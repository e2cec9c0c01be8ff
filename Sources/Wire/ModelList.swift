/// The body of `GET /v1/models` and of `GET /v1/models/{name}`.
package enum ModelList {
    /// One public model name.
    package struct Model: Equatable, Sendable {
        /// The name to send as `model`.
        package var id: String
        /// Seconds since 1970 at which it began to be served.
        package var created: Int

        /// Creates a model.
        package init(id: String, created: Int) {
            self.id = id
            self.created = created
        }

        /// The body that describes this model alone.
        package func body() -> [UInt8] {
            var bytes: [UInt8] = []
            append(to: &bytes)
            return bytes
        }

        fileprivate func append(to bytes: inout [UInt8]) {
            bytes.append(json: #"{"id":"#)
            bytes.append(jsonString: id)
            bytes.append(json: #","object":"model","created":"#)
            bytes.append(jsonInteger: created)
            bytes.append(json: #","owned_by":"relaygate"}"#)
        }
    }

    /// The body of the whole list.
    package static func body(_ models: [Model]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(json: #"{"object":"list","data":["#)
        for (position, model) in models.enumerated() {
            if position > 0 { bytes.append(json: ",") }
            model.append(to: &bytes)
        }
        bytes.append(json: "]}")
        return bytes
    }
}
