/// The published tables of "RelayLLM: Efficient Reasoning via Collaborative Decoding" (Huang et al.), as the files here
/// hold them: CSV with one header line, accuracies in percent, the paper's table in the first column.
package enum PaperTables {
    /// Tables 1 and 6: six benchmarks of mathematics, their average and the call ratio.
    package static var mathematics: [UInt8] { PackageResources.mathematics_csv }
    /// Table 2: three benchmarks of other domains.
    package static var domains: [UInt8] { PackageResources.domains_csv }
    /// Tables 3 and 5: what the parts of the method add, and fixed lengths of delegation.
    package static var ablations: [UInt8] { PackageResources.ablations_csv }
    /// Table 4: with and without the LLM at inference.
    package static var teacherFree: [UInt8] { PackageResources.teacher_free_csv }
    /// Questions and answers for each question; section 4.2 names them, the counts are those of the data sets.
    package static var benchmarks: [UInt8] { PackageResources.benchmarks_csv }
    /// Numbers that only the text has, each with the rule by which a derived number agrees with it.
    package static var claims: [UInt8] { PackageResources.claims_csv }
}
