use super::*;

const START: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const MINUTE: Duration = Duration::from_secs(60);
const POLICY: RotationPolicy = RotationPolicy {
    algorithm: SignatureAlgorithm::ES256,
    further: BTreeSet::new(),
    rotate_every: Duration::from_secs(30 * 24 * 60 * 60),
    ownership: Ownership::Sole,
};
/// For how long a JWKS may be cached.
const MAX_AGE: Duration = Duration::from_secs(300);
const LONGEST_LIFETIME: Duration = DAY;

/// Keys that are kept nowhere; their names count them.
#[derive(Default)]
struct Keys {
    records: Vec<KeyRecord>,
    made: usize,
}

impl Keys {
    fn started() -> Self {
        let mut keys = Self::default();
        keys.maintain(&POLICY, START);
        keys
    }

    fn maintain(&mut self, policy: &RotationPolicy, now: Timestamp) {
        while let Some(step) = next_step(&self.records, policy, now) {
            self.apply(step, now);
        }
    }

    fn rotate(&mut self, now: Timestamp) -> bool {
        let steps = rotate(&self.records, &POLICY, now);
        let found = !steps.is_empty();
        steps.into_iter().for_each(|step| self.apply(step, now));
        self.maintain(&POLICY, now);
        found
    }

    fn apply(&mut self, step: Step, now: Timestamp) {
        match step {
            Step::Make {
                algorithm,
                signs_from,
            } => {
                self.made += 1;
                self.records.push(KeyRecord {
                    key_id: format!("key-{}", self.made),
                    algorithm,
                    made_at: now,
                    signs_from,
                });
            }
            Step::Schedule { key_id, signs_from } => {
                let key = self.records.iter_mut().find(|key| key.key_id == key_id).unwrap();
                key.signs_from = Some(signs_from);
            }
            Step::Remove { key_id } => self.records.retain(|key| key.key_id != key_id),
        }
    }

    fn signing(&self, now: Timestamp) -> &str {
        &signing(&self.records, SignatureAlgorithm::ES256, now)
            .unwrap()
            .key_id
    }

    fn shown(&self) -> Vec<&str> {
        self.records.iter().map(|key| key.key_id.as_str()).collect()
    }
}

/// D8: the first key signs at once, and the next one is shown from the start.
#[test]
fn the_first_key_signs_at_once_beside_the_next_one() {
    let keys = Keys::started();
    assert_eq!(
        (keys.signing(START), keys.shown()),
        ("key-1", vec!["key-1", "key-2"])
    );
}

#[test]
fn rotates_by_schedule_and_not_before() {
    let mut keys = Keys::started();
    let due = START.plus(POLICY.rotate_every);
    keys.maintain(&POLICY, due.minus(MINUTE));
    assert_eq!(keys.signing(due.minus(MINUTE)), "key-1");
    keys.maintain(&POLICY, due);
    assert_eq!(keys.signing(due), "key-2");
    assert_eq!(
        keys.shown(),
        ["key-1", "key-2", "key-3"],
        "retired, current, next"
    );
}

#[test]
fn an_operator_rotates_at_once_where_the_next_key_has_been_shown_for_long_enough() {
    let mut keys = Keys::started();
    let now = START.plus(DAY);
    assert!(keys.rotate(now));
    assert_eq!(keys.signing(now), "key-2");
}

#[test]
fn an_operators_rotation_waits_until_the_next_key_has_been_shown_for_long_enough() {
    let mut keys = Keys::started();
    let now = START.plus(MINUTE);
    assert!(keys.rotate(now));
    assert!(!keys.rotate(now), "one is under way");
    let due = START.plus(ANNOUNCEMENT);
    assert_eq!(
        (keys.signing(due.minus(MINUTE)), keys.signing(due)),
        ("key-1", "key-2")
    );
}

/// A6: a change of the algorithm goes the way of every rotation.
#[test]
fn a_key_of_another_algorithm_is_shown_before_it_signs() {
    let mut keys = Keys::started();
    let policy = RotationPolicy {
        algorithm: SignatureAlgorithm::PS256,
        ..POLICY
    };
    let changed = START.plus(DAY);
    keys.maintain(&policy, changed);
    assert_eq!(
        keys.shown(),
        ["key-1", "key-3", "key-4"],
        "the next ES256 key is dropped unused"
    );
    assert_eq!(keys.signing(changed), "key-1");
    let due = changed.plus(ANNOUNCEMENT);
    assert_eq!(
        signing(&keys.records, policy.algorithm, due).unwrap().algorithm,
        SignatureAlgorithm::PS256
    );
}

#[test]
fn with_a_clock_set_back_the_first_key_signs() {
    let keys = Keys::started();
    assert_eq!(keys.signing(START.minus(DAY)), "key-1");
}

/// A6, D8, P17: two years, minute by minute where it matters: no signature by a key that a cached JWKS could lack,
/// and no token whose key is gone before it expires.
#[test]
fn every_signing_key_has_been_shown_long_enough_and_stays_until_its_tokens_have_expired() {
    let mut keys = Keys::started();
    let step = Duration::from_secs(7 * 60);
    let (mut now, mut lasts) = (START, Vec::<(String, Timestamp)>::new());
    let mut rotated = 0;
    while now < START.plus(DAY * 90) {
        keys.maintain(&POLICY, now);
        // An impatient operator, at odd times.
        if now.as_unix_seconds() % 1013 == 0 && keys.rotate(now) {
            rotated += 1;
        }
        let signing = signing(&keys.records, POLICY.algorithm, now).unwrap().clone();
        assert!(
            signing.key_id == "key-1" || signing.made_at.plus(MAX_AGE) < now,
            "{signing:?} at {now:?}"
        );
        lasts.retain(|(key_id, _)| *key_id != signing.key_id);
        lasts.push((signing.key_id, now));
        for (key_id, last) in &lasts {
            let is_needed = now <= last.plus(LONGEST_LIFETIME);
            assert!(!is_needed || keys.shown().contains(&key_id.as_str()), "{key_id}");
        }
        now = now.plus(step);
    }
    assert!(rotated > 3 && keys.made > 6, "{rotated} {}", keys.made);
    assert!(keys.records.len() < keys.made, "old keys are removed");
}

/// A server of its own algorithm, on keys that it shares.
fn sharing(algorithm: SignatureAlgorithm) -> RotationPolicy {
    RotationPolicy {
        algorithm,
        ownership: Ownership::Shared,
        ..POLICY
    }
}

/// A6: neither makes the other begin again, however often they look.
#[test]
fn servers_of_different_algorithms_leave_one_anothers_keys_alone() {
    let policies = [
        sharing(SignatureAlgorithm::ES256),
        sharing(SignatureAlgorithm::PS256),
    ];
    let mut keys = Keys::default();
    for minute in 0..60 {
        for policy in &policies {
            keys.maintain(policy, START.plus(MINUTE * minute));
        }
    }
    assert_eq!(
        keys.made, 4,
        "a current and a next one for each: {:?}",
        keys.records
    );
    let now = START.plus(MINUTE * 60);
    for policy in &policies {
        let signing = signing(&keys.records, policy.algorithm, now).unwrap();
        assert_eq!(signing.algorithm, policy.algorithm);
    }
    let a_year = START.plus(LONGEST_REIGN).plus(RETIREMENT);
    let mut now = now;
    while now < a_year.plus(DAY) {
        keys.maintain(&policies[0], now);
        now = now.plus(DAY);
    }
    assert!(
        keys.records
            .iter()
            .all(|key| key.algorithm == SignatureAlgorithm::ES256),
        "nobody has wanted the other for a year: {:?}",
        keys.records
    );
}

#[test]
fn a_compromised_key_never_hands_over_to_one_that_has_retired() {
    let mut keys = Keys::started();
    let now = START.plus(DAY);
    assert!(keys.rotate(now));
    assert_eq!((keys.signing(now), keys.shown().len()), ("key-2", 3));
    for step in retire(&keys.records, "key-2", now) {
        keys.apply(step, now);
        assert_ne!(keys.signing(now), "key-1", "after each of the steps");
    }
    keys.maintain(&POLICY, now);
    assert_eq!(keys.signing(now), "key-3");
    assert_eq!(keys.shown(), ["key-1", "key-3", "key-4"]);
}

#[test]
fn a_compromised_key_that_signs_nothing_is_removed_and_changes_nothing_else() {
    for key_id in ["key-1", "key-3"] {
        let mut keys = Keys::started();
        let now = START.plus(DAY);
        keys.rotate(now);
        let steps = retire(&keys.records, key_id, now);
        let key_id = key_id.to_owned();
        assert_eq!(steps, [Step::Remove { key_id }]);
        steps.into_iter().for_each(|step| keys.apply(step, now));
        keys.maintain(&POLICY, now);
        assert_eq!(keys.signing(now), "key-2");
    }
    assert_eq!(retire(&Keys::started().records, "unheard-of", START), []);
}

#[test]
fn the_last_key_of_all_is_replaced_before_it_is_removed() {
    let mut keys = Keys::started();
    keys.records.truncate(1);
    let steps = retire(&keys.records, "key-1", START);
    assert!(
        matches!(
            steps[0],
            Step::Make {
                signs_from: Some(START),
                ..
            }
        ),
        "{steps:?}"
    );
    steps.into_iter().for_each(|step| keys.apply(step, START));
    assert_eq!((keys.signing(START), keys.shown()), ("key-3", vec!["key-3"]));
}
