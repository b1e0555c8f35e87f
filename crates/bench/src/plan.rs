//! How long and how often is measured.

use std::fmt;
use std::time::Duration;

use crate::generator::Length;

/// The measure of everything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// How often every system of a job has its turn on one core.
    pub(crate) rounds: usize,
    /// What a system runs before its turns, unrecorded.
    pub(crate) warming_up: Length,
    /// A turn on one core.
    pub(crate) slice: Length,
    /// How often every system has its turn on split cores.
    pub(crate) split_rounds: usize,
    /// A turn on split cores.
    pub(crate) split_slice: Length,
    /// Connections at once.
    pub(crate) connections: usize,
    /// Connections at once where each request has its own.
    pub(crate) new_connections: usize,
    /// How many tokens the gateway keeps in the job `wide`.
    pub(crate) wide_tokens: usize,
    /// How many clients they are from.
    pub(crate) wide_clients: usize,
    /// How many tokens the authorization server stores in the job `wide`.
    pub(crate) stored_tokens: usize,
    /// How many sizes of each kind are measured of growth.
    pub(crate) growth_sizes: usize,
    /// How often each of them is measured.
    pub(crate) growth_rounds: usize,
}

impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} rounds of {} ms warm-up and {} ms measured on one core, {} of {} ms on split cores; {} connections, \
             {} where each request has its own",
            self.rounds,
            self.slice.warm_up.as_millis(),
            self.slice.measured.as_millis(),
            self.split_rounds,
            self.split_slice.measured.as_millis(),
            self.connections,
            self.new_connections,
        )
    }
}

impl Plan {
    /// By which two systems five percent apart can be told apart.
    pub(crate) const FULL: Self = Self {
        rounds: 40,
        warming_up: Length {
            warm_up: Duration::ZERO,
            measured: Duration::from_secs(5),
        },
        slice: Length {
            warm_up: Duration::from_millis(150),
            measured: Duration::from_millis(300),
        },
        split_rounds: 12,
        split_slice: Length {
            warm_up: Duration::from_millis(200),
            measured: Duration::from_secs(1),
        },
        connections: 32,
        new_connections: 16,
        wide_tokens: 100_000,
        wide_clients: 10_000,
        stored_tokens: 1_000_000,
        growth_sizes: usize::MAX,
        growth_rounds: 9,
    };

    /// Two minutes for all jobs: a first look, not a verdict.
    pub(crate) const QUICK: Self = Self {
        rounds: 4,
        warming_up: Length {
            warm_up: Duration::ZERO,
            measured: Duration::from_secs(1),
        },
        slice: Length {
            warm_up: Duration::from_millis(80),
            measured: Duration::from_millis(200),
        },
        split_rounds: 1,
        split_slice: Length {
            warm_up: Duration::from_millis(100),
            measured: Duration::from_millis(300),
        },
        wide_tokens: 10_000,
        wide_clients: 200,
        stored_tokens: 50_000,
        growth_sizes: 2,
        growth_rounds: 2,
        ..Self::FULL
    };

    /// What services that count are asked: enough of everything.
    pub(crate) const TRAINING: Self = Self {
        rounds: 2,
        warming_up: Length {
            warm_up: Duration::ZERO,
            measured: Duration::from_millis(500),
        },
        split_rounds: 0,
        ..Self::FULL
    };
}
