import Foundation
import LocalSystem

/// The Python environment in which the model server runs: made once, with one wheel pinned by hash.
struct PythonEnvironment: Sendable {
    let directory: String
    let requirements: String

    var python: String { directory + "/bin/python" }
    private var marker: String { directory + "/relaygate-ready" }

    /// Whether it was made completely and its interpreter is still there.
    var isReady: Bool {
        FileManager.default.fileExists(atPath: marker) && Command.isExecutableFile(python)
    }

    /// Makes it; what an interrupted run left is made again from the start.
    func make(requirementsFile: String, progress: (ProgressEvent) -> Void) throws(LocalModelsError) {
        let system = try Self.systemPython()
        progress(.note("installing the model server (llama.cpp, 34 MB) into \(directory)"))
        try? FileManager.default.removeItem(atPath: marker)
        let made = try run(system, ["-m", "venv", "--clear", directory])
        guard made.status == 0 else {
            if made.output.contains("ensurepip") { throw Self.noVenv }
            throw Self.failure("python3 -m venv failed", made.output)
        }
        let installed = try run(
            python,
            [
                "-m", "pip", "install", "--quiet", "--no-input", "--no-cache-dir", "--no-deps", "--require-hashes",
                "--only-binary", ":all:", "--retries", "2", "--timeout", "20", "--disable-pip-version-check",
                "-r", requirementsFile,
            ])
        guard installed.status == 0 else { throw Self.failure("pip failed", installed.output) }
        guard FileManager.default.createFile(atPath: marker, contents: nil) else {
            throw LocalModelsError(.cacheDirectory, "cannot write \(marker)")
        }
        progress(.finished(label: "model server"))
    }

    private static func systemPython() throws(LocalModelsError) -> String {
        guard let python = Command.find("python3") else {
            throw LocalModelsError(
                .pythonMissing, "python3 is not installed; run: apt-get install python3 python3-venv")
        }
        // Debian splits ensurepip off into python3-venv; without it `python3 -m venv` stops half-way.
        let check = try? Command(python, ["-c", "import venv, ensurepip"]).run()
        guard check?.status == 0 else { throw noVenv }
        return python
    }

    private static let noVenv = LocalModelsError(
        .pythonMissing, "python3 has no venv module; run: apt-get install python3-venv")

    private func run(_ program: String, _ arguments: [String]) throws(LocalModelsError) -> Command.Result {
        do {
            // A caller's own environment variables of Python must not leak into this one.
            return try Command(program, arguments, environment: Self.environment).run()
        } catch {
            throw LocalModelsError(.installFailed, error.description, detail: error.detail)
        }
    }

    /// Changes to the environment for everything that runs in Python here.
    static let environment: [String: String?] = {
        var changes: [String: String?] = ["PYTHONUNBUFFERED": "1", "PYTHONNOUSERSITE": "1"]
        for name in ["PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PIP_USER", "PIP_TARGET", "PIP_PREFIX"] {
            changes.updateValue(nil, forKey: name)
        }
        return changes
    }()

    /// Sorts what pip or venv printed into the reasons an operator can do something about.
    static func failure(_ text: String, _ output: String) -> LocalModelsError {
        if output.contains("No space left on device") {
            return LocalModelsError(
                .diskSpace, "the disk is full while the model server was installed", detail: output)
        }
        if output.contains("DO NOT MATCH THE HASHES") {
            return LocalModelsError(
                .hashMismatch, "the model server's wheel is not the expected one (SHA-256 differs)", detail: output)
        }
        let words = ["No matching distribution", "Could not find", "onnection", "timed out", "Retrying", "resolve"]
        if words.contains(where: output.contains) {
            return LocalModels.unreachable("the model server (xllamacpp from the Python package index)", output)
        }
        return LocalModelsError(.installFailed, "the model server could not be installed: \(text)", detail: output)
    }
}
