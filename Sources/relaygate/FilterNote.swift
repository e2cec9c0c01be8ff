internal import Accounting
internal import Notation
internal import Store

extension UnmatchedFilter {
    /// As a sentence that begins with the option.
    var note: String {
        let option = "--" + dimension.name.map { $0 == "_" ? "-" : String($0) }.joined() + " \(value): "
        switch (dimension, reason) {
        case (_, .otherTenant(let name)):
            return option + "is a key of the tenant \(name.json), which --tenant leaves out"
        case (.tag(let key), .unknownTag):
            return "--tag \(key)=\(value): no tenant keeps a tag \(key.json)" + hint(to: key)
        case (.tag(let key), _):
            return "--tag \(key)=\(value): is none of the values of \(key.json) that are told apart" + hint(to: value)
                + "; those beyond a tenant's limit are counted as \"other\""
        default: return option + "nothing that was counted has it" + hint(to: value)
        }
    }

    private func hint(to name: String) -> String {
        NearestName.among(known, to: name).map { "; did you mean \($0.json)?" } ?? ""
    }
}
