//! Servers that are the same, made one.

use std::collections::HashMap;
use std::sync::Arc;

use super::server::{Server, Target};

/// The servers that routes name, each once.
#[derive(Debug, Default)]
pub(crate) struct Servers(HashMap<Target, Arc<Server>>);

impl Servers {
    /// The one that stands for all that are the same as this: whichever came first.
    pub(super) fn shared(&mut self, server: &Arc<Server>) -> Arc<Server> {
        let shared = self.0.entry(server.target().clone());
        Arc::clone(shared.or_insert_with(|| Arc::clone(server)))
    }
}

impl<'a> FromIterator<&'a Arc<Server>> for Servers {
    fn from_iter<T: IntoIterator<Item = &'a Arc<Server>>>(servers: T) -> Self {
        let mut all = Self::default();
        for server in servers {
            all.shared(server);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::super::Protocols::{Http1, Http2OrHttp1};
    use super::*;

    #[test]
    fn servers_are_the_same_where_connections_to_them_are() {
        let server = |text, offers| Arc::new(Server::parse(text, offers).unwrap());
        let first = server("https://api.example.com", Http2OrHttp1);
        let mut servers: Servers = [&first].into_iter().collect();
        for (text, offers, is_same) in [
            ("https://api.example.com", Http2OrHttp1, true),
            ("https://API.example.com/", Http2OrHttp1, true),
            ("https://api.example.com", Http1, false),
            ("http://api.example.com", Http2OrHttp1, false),
            ("https://api.example.com:8443", Http2OrHttp1, false),
            ("https://api-two.example.com", Http2OrHttp1, false),
        ] {
            let shared = servers.shared(&server(text, offers));
            assert_eq!(Arc::ptr_eq(&shared, &first), is_same, "{text} {offers:?}");
        }
    }
}
