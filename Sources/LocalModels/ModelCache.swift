import Foundation
import LocalSystem

/// The directory that all clones and runs of this user share.
///
///     models/              weights, each with a `.verified` file beside it
///     venv/HASH/           the Python environment of the model server; named after its requirements
///     scripts/HASH/        the embedded scripts and pins; named after their content
///     lock                 held while any of these is changed
package struct ModelCache: Sendable, Equatable {
    package let path: String

    /// - Parameter path: absolute.
    package init(path: String) {
        self.path = path
    }

    /// `$RELAYGATE_CACHE`, else `$XDG_CACHE_HOME/relaygate`, else `~/.cache/relaygate`.
    ///
    /// The XDG Base Directory Specification has relative paths ignored; the same is done with ours.
    package init(environment: [String: String], home: String) {
        if let own = environment["RELAYGATE_CACHE"], own.hasPrefix("/") {
            path = own
        } else if let shared = environment["XDG_CACHE_HOME"], shared.hasPrefix("/") {
            path = shared + "/relaygate"
        } else {
            path = home + "/.cache/relaygate"
        }
    }

    /// The cache of this user.
    package static var current: ModelCache {
        ModelCache(environment: ProcessInfo.processInfo.environment, home: NSHomeDirectory())
    }

    package var models: String { path + "/models" }
    package var lock: String { path + "/lock" }

    /// The Python environment for these requirements.
    package func environment(requirements: String) -> String {
        "\(path)/venv/\(StableHash.name(of: requirements))"
    }

    /// The path of a model's weights.
    package func weights(_ pins: ModelPins) -> String { "\(models)/\(pins.file)" }

    /// Whether the weights are there and are the file that was verified: its size and time are still those in the
    /// `.verified` file, which names the digest. Reading a gigabyte at every start would take seconds.
    package func isVerified(_ pins: ModelPins) -> Bool {
        let weights = self.weights(pins)
        guard let state = try? FileManager.default.attributesOfItem(atPath: weights),
            let size = (state[.size] as? NSNumber)?.int64Value, size == pins.bytes,
            let modified = state[.modificationDate] as? Date,
            let line = SystemText.firstLine(path: weights + ".verified")
        else { return false }
        return line == "\(pins.sha256) \(size) \(Int64(modified.timeIntervalSince1970.rounded(.down)))"
    }

    /// Writes embedded files under a name that depends on their content, so that two versions of the program cannot
    /// disturb each other.
    ///
    /// - Returns: the directory.
    package func writeScripts(_ files: [(name: String, text: String)]) throws(LocalModelsError) -> String {
        let content = files.map { "\($0.name)\u{0}\($0.text)" }.joined(separator: "\u{0}")
        let directory = "\(path)/scripts/\(StableHash.name(of: content))"
        try make(directory)
        for file in files {
            let target = "\(directory)/\(file.name)"
            guard FileManager.default.contents(atPath: target) != Data(file.text.utf8) else { continue }
            do {
                try file.text.write(toFile: target, atomically: true, encoding: .utf8)
            } catch {
                throw LocalModelsError(
                    .cacheDirectory, "cannot write \(target)", detail: String(describing: error))
            }
        }
        return directory
    }

    /// Makes a directory of the cache with those above it.
    package func make(_ directory: String) throws(LocalModelsError) {
        do {
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        } catch {
            throw LocalModelsError(
                .cacheDirectory,
                "cannot make \(directory); set RELAYGATE_CACHE to a directory that can be written",
                detail: String(describing: error))
        }
    }
}
