//! What the gateway knows of its hosts, made of the configuration's routes and pass-through hosts; and how it follows
//! the file they stand in.
//!
//! Swapped whole: a connection finds its destination, and a request its route and its challenge, in one state. What a
//! state no longer names ends with the requests that were under way.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::accept::Destination;
use crate::audiences::Audiences;
use crate::authorize::{Authorizer, HexThumbprints};
use crate::configuration::{Configuration, Followed, Origin};
use crate::host::HostName;
use crate::passthrough::PassThrough;
use crate::resource::Resources;
use crate::route::Routes;
use crate::token_cache::TokenCache;

/// One state of the hosts.
#[derive(Debug)]
pub(crate) struct Hosts {
    pub(crate) destinations: HashMap<HostName, Destination>,
    pub(crate) authorizer: Authorizer,
    pub(crate) resources: Resources,
}

/// The hosts as they stand now; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct LiveHosts(Arc<ArcSwap<Hosts>>);

/// What every state of the hosts is made with.
#[derive(Debug)]
pub(crate) struct Foundation {
    pub(crate) tokens: TokenCache,
    pub(crate) audiences: Audiences,
    /// Who issues the tokens.
    pub(crate) issuers: Vec<String>,
    pub(crate) hex_thumbprints: HexThumbprints,
}

impl Foundation {
    /// The hosts of that part of a configuration.
    pub(crate) fn hosts(&self, followed: Followed) -> Hosts {
        let Followed { passthrough, routes } = followed;
        self.audiences.add(&routes.audiences());
        Hosts {
            destinations: destinations(passthrough, &routes),
            resources: Resources::describe(&routes, &self.issuers),
            authorizer: Authorizer {
                tokens: self.tokens.clone(),
                routes,
                hex_thumbprints: self.hex_thumbprints,
            },
        }
    }
}

impl LiveHosts {
    /// Begins with these.
    pub(crate) fn new(hosts: Hosts) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(hosts)))
    }

    /// The hosts as they stand now: to be asked for once, and used for all that belongs together.
    pub(crate) fn now(&self) -> Arc<Hosts> {
        self.0.load_full()
    }

    /// Reads the configuration file again and puts into force what of it can change while the gateway runs. Servers
    /// that stay keep their connections, and routes that stay the count of their requests in hand.
    ///
    /// # Errors
    ///
    /// Everything wrong with the file: then the hosts stay as they were.
    pub(crate) fn read_again(&self, origin: &Origin, foundation: &Foundation) -> anyhow::Result<()> {
        let mut followed = Followed::from(Configuration::read(origin.started_with.file())?);
        followed.routes.inherit(&self.now().authorizer.routes);
        self.0.store(Arc::new(foundation.hosts(followed)));
        origin.started_with.warn_of_waiting_keys();
        Ok(())
    }
}

fn destinations(
    passthrough: HashMap<HostName, PassThrough>,
    routes: &Routes,
) -> HashMap<HostName, Destination> {
    let passed_through = passthrough
        .into_iter()
        .map(|(host, destination)| (host, Destination::PassThrough(destination)));
    let terminated = routes.hosts().map(|host| (host.clone(), Destination::Terminate));
    passed_through.chain(terminated).collect()
}
