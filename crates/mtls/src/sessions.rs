//! The sessions that the peers of a listener may resume, of TLS 1.3 alone.
//!
//! A resumed handshake asks for no certificate: the session holds the chain of the handshake it began with. So sessions
//! are kept here, not in tickets that the peers keep, and end with the state of the files they began under, at the
//! latest after an hour; each is good for one connection; and whether its chain would still pass is asked again
//! (`Offer::verify_resumption`).

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::server::StoresServerSessions;
use tokio::time::Instant;

/// Bounds for how long a peer's proof that it holds its certificate's key is good, from session to session.
const LONGEST: Duration = Duration::from_secs(60 * 60);
/// Bounds the memory of all sessions, each of which is little more than its chain. The oldest make room.
const MOST_BYTES: usize = 4 * 1024 * 1024;
/// Bounds a session; one with a larger chain is not kept.
const LARGEST: usize = 4 * 1024;
/// What a session takes beside itself and its ids.
const OVERHEAD: usize = 256;

pub(crate) struct Sessions(Mutex<Kept>);

struct Kept {
    until: Instant,
    bytes: usize,
    sessions: HashMap<Vec<u8>, Session>,
    /// The oldest first.
    order: BTreeMap<u64, Vec<u8>>,
    next: u64,
}

struct Session {
    number: u64,
    state: Box<[u8]>,
}

impl Sessions {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Kept::none()))
    }

    /// Those that have not ended.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.until <= Instant::now() {
            *kept = Kept::none();
        }
        kept
    }
}

impl Kept {
    fn none() -> Self {
        Self {
            until: Instant::now() + LONGEST,
            bytes: 0,
            sessions: HashMap::new(),
            order: BTreeMap::new(),
            next: 0,
        }
    }

    fn put(&mut self, id: Vec<u8>, state: Box<[u8]>) {
        self.take(&id);
        self.bytes += size(&id, &state);
        while self.bytes > MOST_BYTES
            && let Some((_, oldest)) = self.order.first_key_value()
        {
            let oldest = oldest.clone();
            self.take(&oldest);
        }
        let number = self.next;
        self.next += 1;
        self.order.insert(number, id.clone());
        self.sessions.insert(id, Session { number, state });
    }

    fn take(&mut self, id: &[u8]) -> Option<Box<[u8]>> {
        let Session { number, state } = self.sessions.remove(id)?;
        self.order.remove(&number);
        self.bytes -= size(id, &state);
        Some(state)
    }
}

fn size(id: &[u8], state: &[u8]) -> usize {
    state.len() + 2 * id.len() + OVERHEAD
}

impl StoresServerSessions for Sessions {
    fn put(&self, id: Vec<u8>, session: Vec<u8>) -> bool {
        if session.len() > LARGEST {
            return false;
        }
        self.kept().put(id, session.into());
        true
    }

    fn take(&self, id: &[u8]) -> Option<Vec<u8>> {
        self.kept().take(id).map(Vec::from)
    }

    /// Asked for sessions of TLS 1.2, which are not bound to the handshake they began with unless both sides know
    /// [RFC 7627](https://www.rfc-editor.org/rfc/rfc7627): there are none.
    fn get(&self, _id: &[u8]) -> Option<Vec<u8>> {
        None
    }

    /// Asked before a session of TLS 1.2 is offered.
    fn can_cache(&self) -> bool {
        false
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sessions = self.kept().sessions.len();
        write!(formatter, "Sessions({sessions} kept)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> Vec<u8> {
        number.to_be_bytes().to_vec()
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_is_good_for_one_connection() {
        let sessions = Sessions::new();
        assert!(sessions.put(id(1), vec![7]));
        assert_eq!(sessions.take(&id(2)), None);
        assert_eq!(sessions.take(&id(1)), Some(vec![7]));
        assert_eq!(sessions.take(&id(1)), None);
    }

    /// Also one that was taken up again in the meantime: the proof it rests on is as old as the first.
    #[tokio::test(start_paused = true)]
    async fn no_session_lasts_longer_than_an_hour_however_often_it_is_resumed() {
        let sessions = Sessions::new();
        sessions.put(id(1), vec![7]);
        tokio::time::advance(LONGEST - Duration::from_secs(1)).await;
        let session = sessions.take(&id(1)).unwrap();
        sessions.put(id(2), session);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(sessions.take(&id(2)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_sessions_make_room_for_new_ones() {
        let sessions = Sessions::new();
        assert!(!sessions.put(id(0), vec![0; LARGEST + 1]));
        let most = MOST_BYTES / size(&id(0), &[0; LARGEST]);
        for number in 0..=most {
            assert!(sessions.put(id(number), vec![0; LARGEST]));
            assert!(sessions.kept().bytes <= MOST_BYTES);
        }
        assert_eq!(sessions.take(&id(0)), None);
        for number in 1..=most {
            assert!(sessions.take(&id(number)).is_some(), "{number}");
        }
        let kept = sessions.kept();
        assert_eq!((kept.bytes, kept.order.len()), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_session_twice_is_kept_once() {
        let sessions = Sessions::new();
        sessions.put(id(1), vec![7]);
        sessions.put(id(1), vec![8]);
        assert_eq!(sessions.kept().order.len(), 1);
        assert_eq!(sessions.take(&id(1)), Some(vec![8]));
        assert_eq!(sessions.kept().bytes, 0);
    }

    #[test]
    fn there_are_no_sessions_of_tls_1_2() {
        let sessions = Sessions::new();
        sessions.put(id(1), vec![7]);
        assert_eq!(sessions.get(&id(1)), None);
        assert!(!sessions.can_cache());
    }
}
