//! The question `/readyz`, asked from outside the process: for container health checks, where there is no curl.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const WITHIN: Duration = Duration::from_secs(3);
/// Bounds what is read of an answer; a readiness report is far shorter.
const LARGEST_ANSWER: u64 = 16 * 1024;

/// Asks the service whose admin listener is at `admin` whether it is ready.
///
/// A listener bound to every address is asked on loopback.
///
/// # Errors
///
/// When it says that it is not, with its reasons; when nothing listens there; when no answer comes in three seconds.
pub async fn ask(admin: SocketAddr) -> Result<(), HealthcheckError> {
    let address = reachable(admin);
    let answer = timeout(WITHIN, readyz(address))
        .await
        .map_err(|_| HealthcheckError::NoAnswer {
            address,
            reason: "no answer within 3 seconds".into(),
        })?
        .map_err(|error| HealthcheckError::NoAnswer {
            address,
            reason: error.to_string(),
        })?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1);
    if status == Some("200") {
        Ok(())
    } else {
        Err(HealthcheckError::NotReady(body.trim().to_owned()))
    }
}

/// Why a service does not count as healthy.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HealthcheckError {
    /// Nobody answered.
    #[error("http://{address}/readyz: {reason}")]
    NoAnswer {
        /// The address that was asked.
        address: SocketAddr,
        /// What happened.
        reason: String,
    },
    /// The service answered that it is not ready.
    #[error("not ready: {0}")]
    NotReady(String),
}

async fn readyz(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(LARGEST_ANSWER).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

pub(crate) fn reachable(admin: SocketAddr) -> SocketAddr {
    let ip = match admin.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, admin.port())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::{Readiness, Shutdown, serve_admin};

    fn serve(readiness: Readiness) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve_admin(listener, readiness, std::future::pending()));
        address
    }

    #[tokio::test]
    async fn accepts_a_ready_service() {
        let address = serve(Readiness::new(Shutdown::new()));
        assert_eq!(ask(address).await, Ok(()));
    }

    #[tokio::test]
    async fn asks_a_service_that_listens_everywhere_on_loopback() {
        let address = serve(Readiness::new(Shutdown::new()));
        assert_eq!(
            ask(SocketAddr::new("0.0.0.0".parse().unwrap(), address.port())).await,
            Ok(())
        );
        assert_eq!(reachable("[::]:1".parse().unwrap()), "[::1]:1".parse().unwrap());
    }

    #[tokio::test]
    async fn refuses_a_service_that_is_not_ready_and_gives_its_reason() {
        let readiness = Readiness::new(Shutdown::new());
        readiness.add("store", || Err("cannot be written".into()));
        let Err(HealthcheckError::NotReady(reason)) = ask(serve(readiness)).await else {
            panic!("a service that is not ready passed");
        };
        assert!(reason.contains("cannot be written"), "{reason}");
    }

    #[tokio::test]
    async fn refuses_a_service_that_is_not_there() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        assert!(matches!(
            ask(address).await,
            Err(HealthcheckError::NoAnswer { .. })
        ));
    }
}
