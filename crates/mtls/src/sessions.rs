//! The sessions that the peers of a listener may resume, of TLS 1.3 alone.
//!
//! A resumed handshake asks for no certificate: the session holds the chain of the handshake it began with. So sessions
//! are kept here, not in tickets that the peers keep, and end with the state of the files they began under, at the
//! latest after an hour; each is good for one connection; and whether its chain would still pass is asked again
//! (`Offer::verify_resumption`).

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::server::StoresServerSessions;
use tokio::time::Instant;

/// Bounds for how long a peer's proof that it holds its certificate's key is good, from session to session.
const LONGEST: Duration = Duration::from_secs(60 * 60);
/// Bounds the memory of all sessions, each of which is little more than its chain.
const MOST_BYTES: usize = 4 * 1024 * 1024;
/// Bounds a session; one with a larger chain is not kept.
const LARGEST: usize = 8 * 1024;

pub(crate) struct Sessions(Mutex<Kept>);

struct Kept {
    until: Instant,
    bytes: usize,
    sessions: HashMap<Vec<u8>, Box<[u8]>>,
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
        }
    }
}

impl StoresServerSessions for Sessions {
    fn put(&self, id: Vec<u8>, session: Vec<u8>) -> bool {
        if session.len() > LARGEST {
            return false;
        }
        let mut kept = self.kept();
        // All end at once, which costs their peers one full handshake each.
        if kept.bytes + session.len() > MOST_BYTES {
            *kept = Kept::none();
        }
        kept.bytes += session.len();
        kept.sessions.insert(id, session.into());
        true
    }

    fn take(&self, id: &[u8]) -> Option<Vec<u8>> {
        let mut kept = self.kept();
        let session = kept.sessions.remove(id)?;
        kept.bytes -= session.len();
        Some(session.into())
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
    async fn sessions_take_no_more_memory_than_their_bound() {
        let sessions = Sessions::new();
        assert!(!sessions.put(id(0), vec![0; LARGEST + 1]));
        for number in 0..=MOST_BYTES / LARGEST {
            assert!(sessions.put(id(number), vec![0; LARGEST]));
            assert!(sessions.kept().bytes <= MOST_BYTES);
        }
        assert_eq!(sessions.take(&id(0)), None);
        assert!(sessions.take(&id(MOST_BYTES / LARGEST)).is_some());
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
