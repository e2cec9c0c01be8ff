import Accounting
import Testing

@Suite struct LatencyHistogramTests {
    /// The groups of four digits of a number that has `counts` in the buckets given.
    private func groups(_ counts: [Int: UInt64]) -> [UInt16] {
        var groups = [UInt16](repeating: 0, count: 3 * ((counts.keys.max() ?? -1) + 1))
        for (bucket, count) in counts {
            groups[3 * bucket] = UInt16(count % 10_000)
            groups[3 * bucket + 1] = UInt16(count / 10_000 % 10_000)
            groups[3 * bucket + 2] = UInt16(count / 100_000_000)
        }
        return groups
    }

    @Test func `each twelve digits are the count of a bucket`() throws {
        let counts: [Int: UInt64] = [0: 7, 1: 123_456_789_012, 40: 10_000, 99: 999_999_999_999]
        let histogram = try #require(LatencyHistogram(groups: groups(counts)))
        for bucket in 0..<100 { #expect(histogram.count(of: bucket) == counts[bucket] ?? 0) }
        #expect(histogram.total == 7 + 123_456_789_012 + 10_000 + 999_999_999_999)
    }

    @Test func `leading zeros need not be there, and a hundred buckets are the most`() throws {
        // 5 * 10^4 is 50,000 in bucket 0.
        #expect(try #require(LatencyHistogram(groups: [0, 5])).count(of: 0) == 50_000)
        #expect(LatencyHistogram(groups: [UInt16](repeating: 1, count: 301)) == nil)
        #expect(try #require(LatencyHistogram(groups: [])).total == 0)
    }

    @Test func `histograms add up in any order`() throws {
        let low = try #require(LatencyHistogram(groups: groups([3: 1, 5: 2])))
        let high = try #require(LatencyHistogram(groups: groups([1: 4, 9: 8])))
        var one = low
        one.add(high)
        var other = high
        other.add(low)
        #expect(one == other)
        #expect([1, 3, 5, 9].map { one.count(of: $0) } == [4, 1, 2, 8])
        #expect(one.total == 15)
    }

    /// The rank of a percentile is the smallest that leaves no more than the rest above it: of 20, p50 is the 10th and
    /// p95 the 19th; of 21, the 11th and the 20th.
    @Test func `a percentile is the bucket of its rank`() throws {
        let ten = LatencyHistogram.middle(of: 10)
        let twenty = LatencyHistogram.middle(of: 20)
        let thirty = LatencyHistogram.middle(of: 30)
        let even = try #require(LatencyHistogram(groups: groups([10: 10, 20: 9, 30: 1])))
        #expect(even.percentile(50) == ten)
        #expect(even.percentile(95) == twenty)
        #expect(even.percentile(100) == thirty)
        let odd = try #require(LatencyHistogram(groups: groups([10: 10, 20: 9, 30: 2])))
        #expect(odd.percentile(50) == twenty)
        #expect(odd.percentile(95) == thirty)
        #expect(try #require(LatencyHistogram(groups: groups([7: 1]))).percentile(1) == LatencyHistogram.middle(of: 7))
        #expect(LatencyHistogram().percentile(50) == nil)
    }

    /// Bucket b is from 2^((b-1)/4) to 2^(b/4) ms: 1 is from 1 ms, 41 from 1024 ms, 42 from 1217.7 ms.
    @Test func `a bucket is within nine percent of everything in it`() {
        #expect(LatencyHistogram.middle(of: 0) == 500)
        // 1 ms * 2^(1/8) = 1.0905 ms; 1024 ms * 2^(1/8) = 1116.680 ms.
        #expect(LatencyHistogram.middle(of: 1) == 1091)
        #expect(LatencyHistogram.middle(of: 41) == 1_116_680)
        var low = 1000.0
        for bucket in 1..<100 {
            // Two to the power of a quarter.
            let high = low * 1.189_207_115_002_721
            let middle = Double(LatencyHistogram.middle(of: bucket))
            #expect(middle / low < 1.0911 && high / middle < 1.0911, "bucket \(bucket)")
            low = high
        }
    }
}
