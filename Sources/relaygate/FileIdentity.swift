internal import Arguments
internal import Foundation
internal import Glibc

/// Which file a path leads to, whatever it is called: links and `./` lead to the same one.
enum FileIdentity: Hashable {
    case file(device: UInt64, number: UInt64)
    /// Not there yet: the directory's real path and the name.
    case name(String)

    /// Nil for what is no regular file: a terminal, a pipe or `/dev/null` is not used up.
    init?(_ path: String) {
        guard path != "-" else { return nil }
        var found = stat()
        if unsafe stat(path, &found) == 0 {
            guard found.st_mode & S_IFMT == S_IFREG else { return nil }
            self = .file(device: UInt64(found.st_dev), number: UInt64(found.st_ino))
        } else {
            let url = URL(fileURLWithPath: path)
            let folder = url.deletingLastPathComponent().resolvingSymlinksInPath()
            self = .name(folder.appendingPathComponent(url.lastPathComponent).path)
        }
    }

    /// Refuses to write over what is read, and to write two things into one file.
    ///
    /// - Parameters:
    ///   - inputs: paths of files that are read.
    ///   - outputs: options that name files to write.
    static func separate(
        _ inputs: [String], _ arguments: ParsedArguments,
        outputs: [String] = ["output", "rerun-list", "budget-list", "partial"]
    ) throws(CommandExit) {
        let read = Set(inputs.compactMap(FileIdentity.init))
        var written: [FileIdentity: String] = [:]
        for option in outputs {
            guard arguments.command.options.contains(where: { $0.name == option }),
                let path = arguments.text(option), let identity = FileIdentity(path)
            else { continue }
            if read.contains(identity) {
                throw .badUsage("--\(option): \(path) is read as well; name another file")
            }
            if let other = written.updateValue(option, forKey: identity) {
                throw .badUsage("--\(option): \(path) is the file of --\(other) as well; name another one")
            }
        }
    }
}
