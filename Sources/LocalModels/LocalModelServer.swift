import Foundation
import Glibc
import LocalSystem

/// A llama.cpp server on 127.0.0.1 that serves one model; it ends when this process does.
package final class LocalModelServer: Sendable {
    /// What a server is started with.
    struct Settings: Sendable {
        let name: String
        let weights: String
        let port: UInt16
        let threads: Int
        let context: Int
        let parallel: Int
    }

    /// Loading a gigabyte from a slow disk takes a while; after this it hangs.
    private static let startLimitSeconds = 300

    /// The model's name as the server knows it.
    package let name: String
    package let port: UInt16
    /// What the server prints goes here.
    package let logFile: String

    /// The server ends when the pipe of its standard input is closed, by us or by our death.
    private let child: ChildProcess

    /// `http://127.0.0.1:<port>/v1`, the base address for an OpenAI client.
    package var url: String { "http://127.0.0.1:\(port)/v1" }
    /// The process id of the server.
    package var processID: Int32 { child.processID }
    /// False once the server has ended, by ``stop()`` or by itself.
    package var isRunning: Bool { child.isRunning }

    private init(settings: Settings, logFile: String, child: ChildProcess) {
        name = settings.name
        port = settings.port
        self.logFile = logFile
        self.child = child
    }

    static func start(
        python: String, script: String, settings: Settings, logFile: String, progress: (ProgressEvent) -> Void
    ) throws(LocalModelsError) -> LocalModelServer {
        let log = try openLog(logFile)
        defer { _ = close(log) }
        let arguments = [
            script, "--model", settings.weights, "--alias", settings.name, "--port", String(settings.port),
            "--context", String(settings.context), "--parallel", String(settings.parallel),
            "--threads", String(settings.threads), "--parent", String(getpid()),
        ]
        let child: ChildProcess
        do {
            child = try ChildProcess(
                python, arguments, environment: Command.environment(changes: PythonEnvironment.environment),
                output: .descriptor(log))
        } catch {
            throw LocalModelsError(.startFailed, "\(settings.name): \(error.description)")
        }
        let server = LocalModelServer(settings: settings, logFile: logFile, child: child)
        do {
            try server.waitUntilReady(progress: progress)
        } catch {
            server.stop()
            throw error
        }
        return server
    }

    /// Ends the server: asks it to, and after five seconds makes it. Calling it again does nothing.
    package func stop() {
        child.signal(SIGTERM)
        for _ in 0..<100 where child.isRunning { Pause.milliseconds(50) }
        child.signal(SIGKILL)
        _ = child.wait()
        child.closeInput()
    }

    private func waitUntilReady(progress: (ProgressEvent) -> Void) throws(LocalModelsError) {
        for round in 0..<(Self.startLimitSeconds * 10) {
            // Asked in this order: an answer while our process is dead would be somebody else's.
            let answer = Loopback.status(port: port, path: "/health")
            guard child.isRunning else { throw failure("the server ended while starting") }
            if answer == 200 {
                progress(.finished(label: "\(name) on port \(port)"))
                return
            }
            if round.isMultiple(of: 10) { progress(.waiting(label: "loading \(name)", seconds: round / 10)) }
            Pause.milliseconds(100)
        }
        throw failure("the server was not ready after \(Self.startLimitSeconds) s")
    }

    private func failure(_ text: String) -> LocalModelsError {
        LocalModelsError(
            .startFailed, "\(name): \(text); see \(logFile)", detail: SystemText.tail(path: logFile, lines: 8))
    }

    /// Opens the log for appending; a long one is set aside first.
    private static func openLog(_ path: String) throws(LocalModelsError) -> Int32 {
        let size = (try? FileManager.default.attributesOfItem(atPath: path))?[.size] as? NSNumber
        if let size, size.int64Value > 10_000_000 { _ = unsafe rename(path, path + ".1") }
        let descriptor = unsafe open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw LocalModelsError(.startFailed, "cannot open the log \(path): \(SystemText.error(errno))")
        }
        return descriptor
    }
}
