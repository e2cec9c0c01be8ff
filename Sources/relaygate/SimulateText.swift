internal import Accounting
internal import Arguments
internal import Foundation
internal import Glibc
internal import Notation
internal import Reports
internal import Simulator
internal import Store

/// What `relaygate simulate` says.
enum SimulateText {
    /// Runs a simulation's step; its errors name the file or the option.
    static func saying<Value>(
        _ file: String?, _ body: () throws(SimulationError) -> Value
    ) throws(CommandExit) -> Value {
        do throws(SimulationError) {
            return try body()
        } catch {
            throw failure(error, file)
        }
    }

    static func failure(_ error: SimulationError, _ file: String?) -> CommandExit {
        // Without a file, a scenario's fields are those of the options.
        let isOption = file == nil && error.code == .scenario
        let place = [file, isOption ? error.field.map(option) : error.field].compactMap { $0 }.joined(separator: ": ")
        let text = PlainText.lines(place.isEmpty ? error.message : "\(place): \(error.message)")
        return isOption ? .badUsage(text) : .failure(text)
    }

    /// The options behind a scenario's field.
    private static func option(_ field: String) -> String {
        let head = String(field.prefix { $0 != "[" && $0 != "." })
        return switch head {
        case "policies": "--policy"
        case "cost_models": "--price or --parameters"
        case "select": "--from, --to, --tenant, --tag or --served"
        case "budgets": "--budget"
        case "threshold": "--policy"
        case "prices": "--price"
        default: "--" + head.replacing("_", with: "-")
        }
    }

    /// Prints a report, or puts it into the file that `--output` names, whole or not at all.
    static func write(
        _ report: Report, _ question: SimulateQuestion, _ arguments: ParsedArguments
    ) throws(CommandExit) {
        let provenance = Provenance(
            command: question.command, seed: question.scenario.seed,
            versions: [
                ("report format", String(JSONReport.version)), ("trace format", String(TraceFormat.version)),
            ]
                + [
                    question.fileText.map {
                        ("scenario file, SHA-256", SHA256.hexadecimal(SHA256.digest(Array($0.utf8))))
                    }
                ]
                .compactMap { $0 })
        let text =
            switch arguments.text("format").flatMap(ReportFormat.init) ?? .table {
            case .table: TextReport.text(report, provenance, width: arguments.text("output") == nil ? width : 120)
            case .json: JSONReport.text(report, provenance)
            case .csv: CSVReport.text(report, provenance)
            case .html: PageReport.text(report, provenance)
            }
        guard let path = arguments.text("output") else { return Terminal.write(text) }
        try write(Data(text.utf8), to: path, option: "output")
    }

    /// Puts a file in the place of an older one when it is whole. What is no file, such as a device or a link, is
    /// written to: a new file would take its place.
    static func write(_ data: Data, to path: String, option: String) throws(CommandExit) {
        let kind = kind(path)
        if kind == .typeDirectory { throw .failure("--\(option): \(path) is a directory; name a file in it") }
        do {
            try data.write(
                to: URL(fileURLWithPath: path), options: kind == nil || kind == .typeRegular ? .atomic : [])
        } catch {
            throw .failure(
                "--\(option): \(path) cannot be written; is there such a directory, may you write to it, and is there "
                    + "room?")
        }
    }

    /// What stands at a path, a link being one; nil when there is nothing.
    static func kind(_ path: String) -> FileAttributeType? {
        (try? FileManager.default.attributesOfItem(atPath: path))?[.type] as? FileAttributeType
    }

    /// Columns of the terminal; what is no terminal has 120, so that its text is always the same.
    private static var width: Int {
        var size = winsize()
        guard Terminal.isTerminal, unsafe ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else {
            return 120
        }
        return Int(size.ws_col)
    }
}

extension InputFile {
    /// All bytes of a file.
    static func bytes(_ path: String) throws(CommandExit) -> [UInt8] {
        let file = try InputFile(path)
        var bytes: [UInt8] = []
        while let more = try file.read() { bytes += more }
        return bytes
    }
}
