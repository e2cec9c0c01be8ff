/// Counts of latencies by bucket, as the database keeps them in one number: every twelve decimal digits count one
/// bucket.
///
/// Bucket 0 is below a millisecond, and from there four buckets double the time; the last one, 99, has no upper end.
package struct LatencyHistogram: Sendable, Equatable {
    package static let bucketCount = 100

    /// The bucket of `counts[0]`; without any count, 0.
    private var first = 0
    /// From the first to the last bucket that has a count.
    private var counts: [UInt64] = []

    package init() {}

    /// Reads the number's groups of four decimal digits, the lowest first: three groups are a bucket.
    ///
    /// - Returns: nil when the number has more digits than there are buckets for.
    package init?(groups: [UInt16]) {
        guard groups.count <= 3 * LatencyHistogram.bucketCount else { return nil }
        for bucket in 0..<(groups.count + 2) / 3 {
            var count: UInt64 = 0
            for place in (0..<3).reversed() {
                let index = 3 * bucket + place
                count = count * 10_000 + UInt64(index < groups.count ? groups[index] : 0)
            }
            add(count, to: bucket)
        }
    }

    /// How many latencies were counted.
    package var total: UInt64 { counts.reduce(0) { $0 &+ $1 } }

    package func count(of bucket: Int) -> UInt64 {
        counts.indices.contains(bucket - first) ? counts[bucket - first] : 0
    }

    package mutating func add(_ other: LatencyHistogram) {
        for (index, count) in other.counts.enumerated() { add(count, to: other.first + index) }
    }

    private mutating func add(_ count: UInt64, to bucket: Int) {
        guard count > 0 else { return }
        if counts.isEmpty { first = bucket }
        if bucket < first {
            counts.insert(contentsOf: [UInt64](repeating: 0, count: first - bucket), at: 0)
            first = bucket
        }
        while counts.count <= bucket - first { counts.append(0) }
        counts[bucket - first] &+= count
    }

    /// The latency that `percent` of the counted ones do not exceed, in microseconds; nil when none was counted.
    ///
    /// It is the geometric middle of the bucket in which that latency lies, which is within 9.1 % of it (the eighth
    /// root of two); half a millisecond stands for bucket 0.
    package func percentile(_ percent: UInt64) -> Int? {
        let total = total
        guard total > 0, total <= UInt64.max / 100 else { return nil }
        let rank = max(1, (total * percent + 99) / 100)
        var seen: UInt64 = 0
        for (index, count) in counts.enumerated() {
            seen += count
            if seen >= rank { return LatencyHistogram.middle(of: first + index) }
        }
        return nil
    }

    /// The geometric middle of a bucket, in microseconds: 1 ms times two to the power of (bucket - 1/2) / 4.
    package static func middle(of bucket: Int) -> Int {
        guard bucket > 0 else { return 500 }
        // Two to the power of 1/8, 3/8, 5/8 and 7/8, in units of 10^-9: of a millisecond, picoseconds.
        let roots = [1_090_507_733, 1_296_839_555, 1_542_210_825, 1_834_008_086]
        let picoseconds = roots[(bucket - 1) % 4] << ((min(bucket, bucketCount - 1) - 1) / 4)
        return (picoseconds / 500_000 + 1) / 2
    }
}
