import Glibc
import HTTPServer
import Reactor

/// `fake-model`: a model server without a model, for tests and load.
@main struct FakeModel {
    static func main() {
        let arguments = Array(CommandLine.arguments.dropFirst())
        if arguments == ["--help"] {
            print(Options.help)
            return
        }
        do {
            try run(try Options(arguments))
        } catch let error as OptionError {
            fail(error.message, status: 64)
        } catch let error as ScriptError {
            fail("script: \(error.message)", status: 1)
        } catch {
            fail("\(error)", status: 1)
        }
    }

    private static func run(_ options: Options) throws {
        Signals.block([SIGTERM, SIGINT])
        let loop = try EventLoop(name: "fake-model")
        let script = try options.scriptPath.map { path in try Script(try contents(path)) } ?? Script()
        guard let log = TruthLog(path: options.logPath) else { throw SystemError("open") }
        let socket = try ListenSocket(host: "127.0.0.1", port: options.port, isShared: false)
        let port = socket.port
        let limits = HTTPServerLimits(body: 64 << 20, header: 65536, connections: 20_000, idle: .seconds(3600))
        let server = try HTTPServer(loop: loop, socket: socket, limits: limits)
        let site = ModelServer(loop: loop, options: options, script: script, log: log)
        server.handler = site
        let signals = try Signals([SIGTERM, SIGINT], on: loop) { [loop] _ in loop.stop() }
        print("LISTENING \(port)")
        fflush(nil)
        loop.run()
        server.stop()
        withExtendedLifetime((site, signals)) {}
        log.flush()
    }

    private static func contents(_ path: String) throws(SystemError) -> [UInt8] {
        let descriptor = FileDescriptor(owning: try systemCall("open") { unsafe open(path, O_RDONLY | O_CLOEXEC) })
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = unsafe buffer.withUnsafeMutableBytes { unsafe read(descriptor.raw, $0.baseAddress, $0.count) }
            if count < 0 { throw SystemError("read") }
            if count == 0 { return bytes }
            bytes.append(contentsOf: buffer[..<count])
        }
    }

    private static func fail(_ message: String, status: Int32) -> Never {
        let line = Array("fake-model: \(message)\n".utf8)
        _ = unsafe line.withUnsafeBytes { unsafe write(2, $0.baseAddress, $0.count) }
        exit(status)
    }
}
