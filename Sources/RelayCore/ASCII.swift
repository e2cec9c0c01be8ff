extension UInt8 {
    /// White space of the relay's rules: space, tab, line feed, vertical tab, form feed, carriage return.
    var isASCIIWhiteSpace: Bool { self == 0x20 || (self >= 0x09 && self <= 0x0D) }

    /// A decimal digit of the command grammar (C1); digits of other scripts are letters to it.
    var isASCIIDigit: Bool { self >= 0x30 && self <= 0x39 }
}
