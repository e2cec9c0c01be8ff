/// The refusals of request fields, each with its wording in one place.
extension WireError {
    static func wrongType(_ path: String, _ expected: String) -> WireError {
        WireError(.invalidType, "'\(path)' must be \(expected).", param: path)
    }

    static func invalid(_ path: String, _ rule: String) -> WireError {
        WireError(.invalidValue, "'\(path)' must be \(rule).", param: path)
    }

    static func missing(_ path: String) -> WireError {
        WireError(.missingParameter, "'\(path)' is missing. Add it to the request.", param: path)
    }

    static func duplicate(_ path: String) -> WireError {
        WireError(.duplicateParameter, "'\(path)' is given twice. Send it once.", param: path)
    }

    package static func unsupported(_ path: String, _ why: String) -> WireError {
        WireError(.unsupportedParameter, "'\(path)' is not supported: \(why) Remove it.", param: path)
    }
}
