//! Latencies in buckets of constant relative width: 32 to a power of two, so that a quantile is within 3 %.

use std::time::Duration;

const BITS: u32 = 5;
const PER_POWER: u64 = 1 << BITS;
/// Enough for 2^40 ns, eighteen minutes.
const BUCKETS: usize = (36 * PER_POWER) as usize;

/// How often which latency was seen.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: vec![0; BUCKETS],
            total: 0,
        }
    }
}

impl Histogram {
    /// Counts one latency.
    pub(crate) fn record(&mut self, latency: Duration) {
        let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.counts[bucket_of(nanoseconds).min(BUCKETS - 1)] += 1;
        self.total += 1;
    }

    /// Adds what another histogram has seen.
    pub(crate) fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.total += other.total;
    }

    /// The latency that the share `quantile` of all did not exceed; `None` where none was seen.
    pub(crate) fn quantile(&self, quantile: f64) -> Option<Duration> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a rank among far fewer than 2^52"
        )]
        let rank = ((self.total as f64 * quantile).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Some(Duration::from_nanos(middle_of(bucket)));
            }
        }
        None
    }
}

fn bucket_of(value: u64) -> usize {
    let power = u64::from(value.max(1).ilog2().saturating_sub(BITS));
    let bucket = power * PER_POWER + (value >> power);
    usize::try_from(bucket).unwrap_or(usize::MAX)
}

fn middle_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < 2 * PER_POWER {
        return bucket;
    }
    let power = bucket / PER_POWER - 1;
    let low = (bucket - power * PER_POWER) << power;
    low + (1 << power) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_quantiles_within_their_bucket() {
        let mut histogram = Histogram::default();
        for microseconds in 1..=1000 {
            histogram.record(Duration::from_micros(microseconds));
        }
        for (quantile, expected) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1000.0)] {
            let found = histogram.quantile(quantile).unwrap().as_secs_f64() * 1e6;
            assert!((found / expected - 1.0).abs() < 0.03, "{quantile}: {found}");
        }
    }

    #[test]
    fn knows_nothing_before_the_first_latency() {
        assert_eq!(Histogram::default().quantile(0.99), None);
    }

    #[test]
    fn adds_another_histogram() {
        let (mut one, mut other) = (Histogram::default(), Histogram::default());
        one.record(Duration::from_nanos(10));
        other.record(Duration::from_nanos(30));
        one.add(&other);
        assert_eq!(one.quantile(0.5), Some(Duration::from_nanos(10)));
        assert_eq!(one.quantile(1.0), Some(Duration::from_nanos(30)));
    }

    #[test]
    fn every_value_lies_near_the_middle_of_its_bucket() {
        for value in [0, 1, 31, 32, 63, 64, 65, 1000, 123_456_789] {
            let middle = middle_of(bucket_of(value));
            assert!(middle.abs_diff(value) <= value / 32, "{value}: {middle}");
        }
    }

    #[test]
    fn counts_what_is_too_long_for_any_bucket() {
        let mut histogram = Histogram::default();
        histogram.record(Duration::MAX);
        assert!(histogram.quantile(0.5) > Some(Duration::from_secs(60)));
    }
}
