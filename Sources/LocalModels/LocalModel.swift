/// A model that this build knows how to fetch and serve.
package enum LocalModel: String, Sendable, CaseIterable {
    /// SmolLM2-135M-Instruct, Q4_1: 98 MB, 0.3 GB of memory when served.
    case smollm2
    /// Qwen2.5-Coder-0.5B-Instruct, Q4_K_M: 491 MB, 0.7 GB of memory.
    case qwen05
    /// Qwen2.5-Coder-1.5B-Instruct, Q4_K_M: 1117 MB, 2 GB of memory.
    case qwen15

    /// The text of the model's pins file as it is embedded in the program.
    package var pinsText: String {
        let bytes: [UInt8]
        switch self {
        case .smollm2: bytes = PackageResources.smollm2_txt
        case .qwen05: bytes = PackageResources.qwen05_txt
        case .qwen15: bytes = PackageResources.qwen15_txt
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The pins of the model.
    package var pins: ModelPins {
        guard let pins = ModelPins(pinsText) else {
            preconditionFailure("the embedded pins of \(rawValue) cannot be read")
        }
        return pins
    }
}
