//! Medians, and how far a median may be trusted.

use serde::Serialize;

/// Resamplings of the bootstrap.
const RESAMPLINGS: usize = 2000;

/// Smallest, middle and largest of some values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Summary {
    /// The median.
    pub(crate) median: f64,
    /// The smallest.
    pub(crate) minimum: f64,
    /// The largest.
    pub(crate) maximum: f64,
}

impl Summary {
    /// Of these values; `None` of none.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        Some(Self {
            median: median(values)?,
            minimum: values.iter().copied().reduce(f64::min)?,
            maximum: values.iter().copied().reduce(f64::max)?,
        })
    }
}

/// The median of ratios taken pair by pair.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Ratio {
    /// How many there are.
    pub(crate) pairs: usize,
    /// The median.
    pub(crate) median: f64,
    /// The lower end of the 95 % interval.
    pub(crate) low: f64,
    /// Its upper end.
    pub(crate) high: f64,
    /// The smallest of the one by the smallest of the other: a cross-check that no pairing enters into.
    pub(crate) of_minima: f64,
}

impl Ratio {
    /// Of `ours` by `theirs`, the values at the same place belonging to the same round.
    pub(crate) fn of(ours: &[f64], theirs: &[f64]) -> Option<Self> {
        let ratios: Vec<f64> = ours
            .iter()
            .zip(theirs)
            .map(|(ours, theirs)| ours / theirs)
            .collect();
        let (low, high) = bootstrap_interval(&ratios)?;
        Some(Self {
            pairs: ratios.len(),
            median: median(&ratios)?,
            low,
            high,
            of_minima: Summary::of(ours)?.minimum / Summary::of(theirs)?.minimum,
        })
    }
}

/// The middle value, or the mean of the two in the middle; `None` of none.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    Some(f64::midpoint(sorted[middle - 1], upper))
}

/// Between which the median lies in 95 of 100 resamplings.
fn bootstrap_interval(values: &[f64]) -> Option<(f64, f64)> {
    let mut random = Xorshift(0x9e37_79b9_7f4a_7c15);
    let mut medians = Vec::with_capacity(RESAMPLINGS);
    let mut resampled = vec![0.0; values.len()];
    for _ in 0..RESAMPLINGS {
        for value in &mut resampled {
            *value = values[random.below(values.len())];
        }
        medians.push(median(&resampled)?);
    }
    medians.sort_by(f64::total_cmp);
    let at = |per_mille: usize| medians[(RESAMPLINGS - 1) * per_mille / 1000];
    Some((at(25), at(975)))
}

/// Random enough for resampling, and the same in every run: a report is made again from its samples.
struct Xorshift(u64);

impl Xorshift {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        // The upper half is the better one; a limit of some dozens makes no bias worth a thought.
        usize::try_from(self.0 >> 32).unwrap_or(0) % limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn sums_up() {
        let summary = Summary::of(&[3.0, 1.0, 2.0]).unwrap();
        assert_eq!(
            (summary.minimum, summary.median, summary.maximum),
            (1.0, 2.0, 3.0)
        );
        assert_eq!(Summary::of(&[]), None);
    }

    #[test]
    fn pairs_within_rounds() {
        // The second round was twice as slow for both: paired, it says nothing.
        let ratio = Ratio::of(&[10.0, 20.0, 10.0], &[20.0, 40.0, 20.0]).unwrap();
        assert_eq!(
            ratio,
            Ratio {
                pairs: 3,
                median: 0.5,
                low: 0.5,
                high: 0.5,
                of_minima: 0.5
            }
        );
    }

    #[test]
    fn the_interval_holds_the_median_and_narrows_with_more_rounds() {
        let width = |rounds: u32| {
            let ours: Vec<f64> = (0..rounds)
                .map(|round| 10.0 + f64::from(round * 7919 % 100) / 100.0)
                .collect();
            let theirs = vec![10.0; ours.len()];
            let ratio = Ratio::of(&ours, &theirs).unwrap();
            assert!(ratio.low <= ratio.median && ratio.median <= ratio.high);
            ratio.high - ratio.low
        };
        assert!(width(400) < width(10));
    }

    #[test]
    fn draws_no_ratio_from_nothing() {
        assert_eq!(Ratio::of(&[], &[1.0]), None);
    }
}
