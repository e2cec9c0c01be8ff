/// Texts inside HTML and SVG: names and tags come from callers.
package enum HTMLText {
    /// A text as content or as the value of an attribute in double quotes.
    package static func escaped(_ text: String) -> String {
        var html = ""
        for character in text.unicodeScalars {
            switch character {
            case "&": html += "&amp;"
            case "<": html += "&lt;"
            case ">": html += "&gt;"
            case "\"": html += "&quot;"
            default: html.unicodeScalars.append(character)
            }
        }
        return html
    }
}
