//! The partners' transactions, in memory and within bounds: the newest stay.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use oauth_core::time::Timestamp;
use serde::Serialize;
use uuid::Uuid;

/// Bounds the memory one client can take.
const MOST_PER_CLIENT: usize = 1000;

/// Bounds the memory all clients together can take.
const MOST_CLIENTS: usize = 1000;

/// A transaction, as its owner may see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Transaction {
    /// A version 7 UUID: later ones are greater.
    pub(crate) id: Uuid,
    pub(crate) created_at: Timestamp,
}

impl Transaction {
    /// A new one.
    pub(crate) fn now() -> Self {
        Self {
            id: Uuid::now_v7(),
            created_at: Timestamp::from(SystemTime::now()),
        }
    }
}

/// The newest transactions of each of the clients that were active last; clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transactions(Arc<Mutex<HashMap<String, VecDeque<Transaction>>>>);

impl Transactions {
    /// Keeps `transaction`, at the cost of the client's oldest one, or of the client that was active least lately.
    pub(crate) fn add(&self, client_id: &str, transaction: Transaction) {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !clients.contains_key(client_id) && clients.len() >= MOST_CLIENTS {
            forget_least_active(&mut clients);
        }
        let transactions = clients.entry(client_id.to_owned()).or_default();
        if transactions.len() >= MOST_PER_CLIENT {
            transactions.pop_front();
        }
        transactions.push_back(transaction);
    }

    /// The transactions of one client, oldest first.
    pub(crate) fn of(&self, client_id: &str) -> Vec<Transaction> {
        let clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        clients
            .get(client_id)
            .map(|transactions| transactions.iter().copied().collect())
            .unwrap_or_default()
    }
}

fn forget_least_active(clients: &mut HashMap<String, VecDeque<Transaction>>) {
    let latest = |transactions: &VecDeque<Transaction>| transactions.back().map(|transaction| transaction.id);
    let least_active = clients
        .iter()
        .min_by_key(|(_, transactions)| latest(transactions));
    if let Some(client_id) = least_active.map(|(client_id, _)| client_id.clone()) {
        clients.remove(&client_id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_each_clients_transactions_apart() {
        let transactions = Transactions::default();
        let (mine, theirs) = (Transaction::now(), Transaction::now());
        transactions.add("partner-client", mine);
        transactions.add("other-client", theirs);
        assert_eq!(transactions.of("partner-client"), [mine]);
        assert_eq!(transactions.of("other-client"), [theirs]);
        assert_eq!(transactions.of("nobody"), []);
    }

    #[test]
    fn keeps_the_newest_transactions_of_a_client() {
        let transactions = Transactions::default();
        let (first, second) = (Transaction::now(), Transaction::now());
        transactions.add("partner-client", first);
        transactions.add("partner-client", second);
        for _ in 0..MOST_PER_CLIENT - 1 {
            transactions.add("partner-client", Transaction::now());
        }
        let kept = transactions.of("partner-client");
        assert_eq!((kept.len(), kept[0]), (MOST_PER_CLIENT, second));
    }

    #[test]
    fn forgets_the_client_that_was_active_least_lately() {
        let transactions = Transactions::default();
        for number in 0..MOST_CLIENTS {
            transactions.add(&number.to_string(), Transaction::now());
        }
        transactions.add("0", Transaction::now());
        transactions.add("new", Transaction::now());
        assert_eq!(transactions.of("1"), []);
        assert_eq!((transactions.of("0").len(), transactions.of("new").len()), (2, 1));
    }
}
