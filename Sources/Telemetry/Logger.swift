import Glibc

/// Writes log lines to standard error, each whole and with one `write(2)`.
///
/// The message is static text and everything that varies is a field, so that lines can be counted and searched by
/// message, and input cannot forge one. A value type without locks: the kernel keeps lines apart.
package struct Logger: Sendable {
    /// The least important level that is written.
    package let level: LogLevel
    package let format: LogFormat
    /// Added to every line, before the line's own fields.
    private var context = LogFields()
    private let clock: @Sendable () -> Timestamp
    private let sink: @Sendable ([UInt8]) -> Void

    /// Makes a logger.
    ///
    /// - Parameters:
    ///   - level: The least important level that is written.
    ///   - format: How lines are written.
    ///   - clock: Says what time it is; tests give their own.
    ///   - sink: Takes one whole line at a time, its line break included; may be called from any thread.
    package init(
        level: LogLevel = .info, format: LogFormat = .text,
        clock: @escaping @Sendable () -> Timestamp = { .now() },
        sink: @escaping @Sendable ([UInt8]) -> Void = Logger.writeToStandardError
    ) {
        self.level = level
        self.format = format
        self.clock = clock
        self.sink = sink
    }

    /// The same logger with fields that every line gets, such as a request's id.
    package func with(_ fields: LogFields) -> Logger {
        var logger = self
        logger.context.values += fields.values
        return logger
    }

    /// Whether lines of this level are written.
    package func isEnabled(_ level: LogLevel) -> Bool { level >= self.level }

    /// Writes a line; `fields` is not evaluated when the level is off.
    package func log(
        _ level: LogLevel, _ message: StaticString, _ fields: @autoclosure () -> LogFields = [:]
    ) {
        guard level >= self.level else { return }
        var line = LogLine(format: format, time: clock(), level: level, message: message)
        line.append(context)
        line.append(fields())
        sink(line.finished())
    }

    /// Writes a line for whoever searches a fault.
    package func debug(_ message: StaticString, _ fields: @autoclosure () -> LogFields = [:]) {
        log(.debug, message, fields())
    }

    /// Writes a line about normal work.
    package func info(_ message: StaticString, _ fields: @autoclosure () -> LogFields = [:]) {
        log(.info, message, fields())
    }

    /// Writes a line about something wrong that the process copes with.
    package func warning(_ message: StaticString, _ fields: @autoclosure () -> LogFields = [:]) {
        log(.warning, message, fields())
    }

    /// Writes a line about something that somebody has to act on.
    package func error(_ message: StaticString, _ fields: @autoclosure () -> LogFields = [:]) {
        log(.error, message, fields())
    }

    /// Writes a whole line to standard error.
    ///
    /// A line that cannot be written at once (a full pipe that does not block, a closed descriptor) is lost: serving
    /// goes before logging.
    @Sendable package static func writeToStandardError(_ line: [UInt8]) {
        while unsafe write(STDERR_FILENO, line, line.count) < 0, errno == EINTR {}
    }
}
