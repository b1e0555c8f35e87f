//! The threads of the data path: each accepts, serves and forwards on a core of its own, with connections of its own to
//! the APIs, and none waits for another.
//!
//! What operates the gateway, such as its admin listener, runs elsewhere.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener as Listener};
use std::sync::Arc;
use std::{io, thread};

use anyhow::Context;
use mtls::bind;
use rustix::net::sockopt::set_socket_reuseport;
use service::Shutdown;
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::accept::{Frontier, accept};
use crate::gate::Gate;

/// Of each listener, connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// One listener for each worker, all on the same address; the system shares connections out among them.
///
/// # Errors
///
/// Names the key, the address and what is wrong with it. That somebody else listens there is an error, even another
/// gateway.
pub(crate) fn listen(address: SocketAddr, workers: usize) -> anyhow::Result<Vec<Listener>> {
    // The first binds alone, which finds out whether the address is free; then it lets the others join.
    let first = bind(address, "listen.public")?;
    let mut listeners = Vec::with_capacity(workers);
    let address = first.local_addr().context("listen.public")?;
    if workers > 1 {
        set_socket_reuseport(&first, true)
            .map_err(io::Error::from)
            .context("listen.workers")?;
    }
    listeners.push(first);
    for _ in 1..workers {
        listeners.push(another(address).context("listen.workers")?);
    }
    Ok(listeners)
}

fn another(address: SocketAddr) -> io::Result<Listener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

/// Runs a worker on each of the listeners until the shutdown and the end of all connections.
///
/// Dropped, it stops them.
///
/// # Errors
///
/// When a worker cannot be started, or one fails.
pub(crate) async fn run(
    listeners: Vec<Listener>,
    frontier: impl Fn(usize) -> Frontier,
    gate: Gate,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let (gate, stop) = (Arc::new(gate), CancellationToken::new());
    let _stops_workers = stop.clone().drop_guard();
    let mut workers = JoinSet::new();
    for (number, listener) in listeners.into_iter().enumerate() {
        let (frontier, gate, stop) = (frontier(number), Arc::clone(&gate), stop.clone());
        let (done, ended) = oneshot::channel();
        let work = move || {
            // Nobody hears of it when the whole is dropped.
            let _unheard = done.send(work(listener, frontier, gate, &stop));
        };
        thread::Builder::new()
            .name(format!("worker {number}"))
            .spawn(work)
            .context("listen.workers: a thread cannot be started")?;
        workers.spawn(ended);
    }
    let work = async {
        while let Some(ended) = workers.join_next().await {
            ended?.context("a worker panicked")??;
        }
        Ok(())
    };
    let draining = async {
        gate.drain(shutdown).await;
        std::future::pending::<Infallible>().await
    };
    tokio::select! {
        worked = work => worked,
        never = draining => match never {},
    }
}

fn work(
    listener: Listener,
    frontier: Frontier,
    gate: Arc<Gate>,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let runtime = runtime().context("listen.workers: a runtime cannot be started")?;
    let ended = runtime.block_on(async {
        let listener = TcpListener::from_std(listener).context("listen.public")?;
        // `None`: stopped.
        let _stopped = stop.run_until_cancelled(accept(listener, frontier, gate)).await;
        Ok(())
    });
    // A name that is being looked up is not waited for.
    runtime.shutdown_background();
    ended
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_workers_listen_on_one_address_and_nobody_else_does() {
        let listeners = listen("127.0.0.1:0".parse().unwrap(), 3).unwrap();
        let addresses: Vec<_> = listeners
            .iter()
            .map(|listener| listener.local_addr().unwrap())
            .collect();
        assert_eq!(addresses, [addresses[0]; 3]);
        for workers in [1, 2] {
            let error = listen(addresses[0], workers).unwrap_err().to_string();
            assert!(error.contains("listen.public"), "{error}");
        }
    }
}
