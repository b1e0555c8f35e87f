//! What every engine keeps to.

use futures_util::future::join_all;
use tempfile::TempDir;

use super::shared::Database;
use super::*;

/// Something to open a store over, again and again.
enum Ground {
    Directory(TempDir),
    Database(Database),
}

impl Ground {
    async fn open(&self) -> Arc<dyn TokenStore> {
        match self {
            Self::Directory(directory) => {
                let path = directory.path().join("new/directory/tokens.redb");
                Arc::new(EmbeddedTokenStore::open(&path).unwrap())
            }
            Self::Database(database) => Arc::new(database.open().await),
        }
    }
}

/// Makes a test for each engine of each function.
macro_rules! for_both_engines {
    ($($(#[$attribute:meta])* async fn $name:ident();)*) => {
        mod embedded_engine {
            $($(#[$attribute])*
            async fn $name() {
                let directory = tempfile::TempDir::new().unwrap();
                super::$name(super::Ground::Directory(directory)).await;
            })*
        }

        mod postgres_engine {
            $($(#[$attribute])*
            async fn $name() {
                if let Some(database) = super::Database::new().await {
                    super::$name(super::Ground::Database(database)).await;
                }
            })*
        }
    };
}

for_both_engines! {
    #[tokio::test]
    async fn finds_after_a_restart_whatever_it_kept();
    #[tokio::test]
    async fn keeps_the_first_revocation();
    /// I16: of a token that was just asked about as well, and again after that.
    #[tokio::test]
    async fn says_of_a_revocation_as_soon_as_it_is_made();
    #[tokio::test]
    async fn has_nothing_to_revoke_for_an_unknown_id();
    /// I5: the id is no secret, and is not enough.
    #[tokio::test]
    async fn does_not_know_a_token_of_the_right_id_and_the_wrong_secret();
    #[tokio::test]
    async fn purges_what_has_expired_and_nothing_else();
    /// What an operator revoked stays so after a restart, and what is issued afterwards is not meant.
    #[tokio::test]
    async fn a_mark_revokes_what_was_issued_up_to_it_and_survives_a_restart();
    /// I5: whatever client it was issued to.
    #[tokio::test]
    async fn a_mark_revokes_the_tokens_of_one_certificate_and_of_no_other();
    /// K7: of any number of uses one is the first.
    #[tokio::test]
    async fn accepts_an_assertion_once_and_refuses_its_replay();
    /// K7: a restart forgets nothing.
    #[tokio::test]
    async fn remembers_an_assertion_across_a_restart();
    #[tokio::test]
    async fn remembers_an_assertion_until_it_has_expired();
    #[tokio::test]
    async fn refuses_an_assertion_again_whatever_its_expiry();
    #[tokio::test]
    async fn works_again_after_refusing_what_was_too_much();
}

async fn finds_after_a_restart_whatever_it_kept(ground: Ground) {
    let store = ground.open().await;
    let mut tokens = Vec::new();
    for minute in 0..120 {
        let (token, mut record) = token_issued_at(START + minute * 60);
        record.client_id = format!("client \"{minute}\" \u{0} ü");
        record.confirmation = Some(Confirmation::new(CertificateThumbprint::of_der(b"a certificate")));
        tokens.push((token, record));
    }
    let inserted = join_all(
        tokens
            .iter()
            .map(|(_, record)| store.insert(record.clone().into())),
    )
    .await;
    assert!(inserted.iter().all(Result::is_ok));
    drop(store);
    let store = ground.open().await;
    for (token, record) in tokens {
        assert_eq!(find(&store, &token).await, Some(record));
    }
}

async fn keeps_the_first_revocation(ground: Ground) {
    let store = ground.open().await;
    let (token, record) = token_issued_at(START);
    let (other, other_record) = token_issued_at(START);
    store.insert(record.into()).await.unwrap();
    store.insert(other_record.clone().into()).await.unwrap();
    let revoked_at_once = join_all([1, 1].map(|second| store.revoke(token.id(), at(START + second)))).await;
    assert_eq!(revoked_at_once, [Ok(()), Ok(())]);
    store.revoke(token.id(), at(START + 2)).await.unwrap();
    drop(store);
    let store = ground.open().await;
    assert_eq!(
        find(&store, &token).await.unwrap().revoked_at,
        Some(at(START + 1))
    );
    assert_eq!(find(&store, &other).await, Some(other_record));
}

async fn says_of_a_revocation_as_soon_as_it_is_made(ground: Ground) {
    let store = ground.open().await;
    let tokens = [START, START + 1, START + 2].map(token_issued_at);
    for (token, record) in &tokens {
        store.insert(record.clone().into()).await.unwrap();
        assert_eq!(find(&store, token).await.as_ref(), Some(record));
    }
    let [(marked, _), (revoked, _), (kept, kept_record)] = &tokens;
    store.revoke(revoked.id(), at(START + 9)).await.unwrap();
    let revoked_at = async |token| find(&store, token).await.unwrap().revoked_at;
    assert_eq!(revoked_at(revoked).await, Some(at(START + 9)));
    let client = TokensOf::Client("partner-client".to_owned());
    store.revoke_all(client, at(START)).await.unwrap();
    assert_eq!(revoked_at(marked).await, Some(at(START)));
    assert_eq!(revoked_at(revoked).await, Some(at(START + 9)));
    assert_eq!(find(&store, kept).await.as_ref(), Some(kept_record));
}

async fn has_nothing_to_revoke_for_an_unknown_id(ground: Ground) {
    let store = ground.open().await;
    for id in [token_issued_at(START).0.id(), Uuid::new_v4(), Uuid::nil()] {
        store.revoke(id, at(START)).await.unwrap();
        assert_eq!(store.record(id).await, Ok(None));
    }
}

async fn does_not_know_a_token_of_the_right_id_and_the_wrong_secret(ground: Ground) {
    let store = ground.open().await;
    let (token, record) = token_issued_at(START);
    store.insert(record.clone().into()).await.unwrap();
    let guess = AccessToken::new(token.id(), [8; SECRET_LENGTH]);
    assert_eq!(find(&store, &guess).await, None);
    assert_eq!(find(&store, &token).await, Some(record));
}

async fn purges_what_has_expired_and_nothing_else(ground: Ground) {
    let store = ground.open().await;
    let (old, old_record) = token_issued_at(START);
    let (young, young_record) = token_issued_at(START + HOUR);
    store.insert(old_record.clone().into()).await.unwrap();
    store.insert(young_record.clone().into()).await.unwrap();
    let expiry = old_record.expires_at;
    store.purge(expiry.minus(Duration::from_secs(1))).await.unwrap();
    assert_eq!(find(&store, &old).await, Some(old_record));
    store.purge(expiry).await.unwrap();
    assert_eq!(find(&store, &old).await, None);
    assert_eq!(find(&store, &young).await, Some(young_record));
}

async fn a_mark_revokes_what_was_issued_up_to_it_and_survives_a_restart(ground: Ground) {
    let (before, mut record) = token_issued_at(START);
    let (after, later) = token_issued_at(START + 2);
    let (others, mut other) = token_issued_at(START);
    other.client_id = "other-client".to_owned();
    let mark = at(START + 1);
    // Longer than any token is good for, so that the end of the mark can be seen.
    let hours = |count: u64| mark.plus(Duration::from_secs(count * 60 * 60));
    record.expires_at = hours(27);
    let store = ground.open().await;
    for record in [&record, &later, &other] {
        store.insert(record.clone().into()).await.unwrap();
    }
    let client = TokensOf::Client("partner-client".to_owned());
    store.revoke_all(client.clone(), mark).await.unwrap();
    // A clock that was set back takes nothing back.
    store.revoke_all(client, at(START - 60)).await.unwrap();
    drop(store);
    let store = ground.open().await;
    assert_eq!(find(&store, &before).await.unwrap().revoked_at, Some(mark));
    assert_eq!(find(&store, &after).await, Some(later));
    assert_eq!(find(&store, &others).await, Some(other));
    store.purge(hours(24)).await.unwrap();
    assert_eq!(find(&store, &before).await.unwrap().revoked_at, Some(mark));
    store.purge(hours(26)).await.unwrap();
    assert_eq!(find(&store, &before).await.unwrap().revoked_at, None);
}

async fn a_mark_revokes_the_tokens_of_one_certificate_and_of_no_other(ground: Ground) {
    let thumbprints = [b"lost".as_slice(), b"kept"].map(CertificateThumbprint::of_der);
    let store = ground.open().await;
    let mut tokens = Vec::new();
    for x5t_s256 in thumbprints {
        let (token, mut record) = token_issued_at(START);
        record.confirmation = Some(Confirmation::new(x5t_s256));
        store.insert(record.into()).await.unwrap();
        tokens.push(token);
    }
    let lost = TokensOf::Certificate(thumbprints[0]);
    store.revoke_all(lost, at(START)).await.unwrap();
    let revoked_at = async |token| find(&store, token).await.unwrap().revoked_at;
    assert_eq!(revoked_at(&tokens[0]).await, Some(at(START)));
    assert_eq!(revoked_at(&tokens[1]).await, None);
}

async fn accepts_an_assertion_once_and_refuses_its_replay(ground: Ground) {
    let store = ground.open().await;
    let assertion = AssertionDigest::of("partner-client", "1");
    let uses = join_all((0..20).map(|_| store.remember_assertion(assertion, at(START)))).await;
    assert_eq!(uses[0], Ok(AssertionUse::First));
    assert!(uses[1..].iter().all(|used| *used == Ok(AssertionUse::Replay)));
    for other in [
        AssertionDigest::of("partner-client", "2"),
        AssertionDigest::of("other-client", "1"),
        AssertionDigest::of("partner-clien", "t1"),
    ] {
        let used = store.remember_assertion(other, at(START)).await;
        assert_eq!(used, Ok(AssertionUse::First));
    }
    let used = store.remember_assertion(assertion, at(START)).await;
    assert_eq!(used, Ok(AssertionUse::Replay));
}

async fn remembers_an_assertion_across_a_restart(ground: Ground) {
    let assertion = AssertionDigest::of("partner-client", "1");
    for expected in [AssertionUse::First, AssertionUse::Replay] {
        let store = ground.open().await;
        let used = store.remember_assertion(assertion, at(START)).await;
        assert_eq!(used, Ok(expected));
    }
}

async fn remembers_an_assertion_until_it_has_expired(ground: Ground) {
    let store = ground.open().await;
    let assertion = AssertionDigest::of("partner-client", "1");
    for (purged_at, expected) in [
        (START, AssertionUse::First),
        (START + 99, AssertionUse::Replay),
        // The clock of whoever purges may be ahead.
        (START + 100 + 299, AssertionUse::Replay),
        (START + 2 * HOUR, AssertionUse::First),
    ] {
        store.purge(at(purged_at)).await.unwrap();
        let used = store.remember_assertion(assertion, at(START + 100)).await;
        assert_eq!(used, Ok(expected), "{purged_at}");
    }
}

async fn refuses_an_assertion_again_whatever_its_expiry(ground: Ground) {
    let store = ground.open().await;
    let assertion = AssertionDigest::of("partner-client", "1");
    for (expires_at, expected) in [
        (START, AssertionUse::First),
        (START + HOUR, AssertionUse::Replay),
        (START - HOUR, AssertionUse::Replay),
    ] {
        let used = store.remember_assertion(assertion, at(expires_at)).await;
        assert_eq!(used, Ok(expected), "{expires_at}");
    }
}

/// The queue is bounded, and whoever does not fit in is told at once.
async fn works_again_after_refusing_what_was_too_much(ground: Ground) {
    let store = ground.open().await;
    let records: Vec<_> = (0..12_000).map(|_| token_issued_at(START).1).collect();
    let inserting = join_all(records.iter().map(|record| store.insert(record.clone().into())));
    let results = tokio::task::unconstrained(inserting).await;
    for (record, result) in records.iter().zip(results) {
        match result {
            Ok(()) => assert_eq!(store.record(record.id).await, Ok(Some(Arc::new(record.clone())))),
            Err(error) => assert_eq!(error, StoreError::Overloaded),
        }
    }
    let (token, record) = token_issued_at(START);
    store.insert(record.clone().into()).await.unwrap();
    assert_eq!(find(&store, &token).await, Some(record));
}
