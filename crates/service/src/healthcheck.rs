//! The question `/readyz`, asked from outside the process: for container health checks, where there is no curl.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::timeout;

use crate::exchange::{exchange, reachable};

const WITHIN: Duration = Duration::from_secs(3);

/// Asks the service whose admin listener is at `admin` whether it is ready.
///
/// A listener bound to every address is asked on loopback.
///
/// # Errors
///
/// When it says that it is not, with its reasons; when nothing listens there; when no answer comes in three seconds.
pub(crate) async fn ask(admin: SocketAddr) -> Result<(), HealthcheckError> {
    let address = reachable(admin);
    let answer = timeout(WITHIN, exchange(address, "GET /readyz", "", ""))
        .await
        .map_err(|_| HealthcheckError::NoAnswer {
            address,
            reason: "no answer within 3 seconds".into(),
        })?
        .map_err(|error| HealthcheckError::NoAnswer {
            address,
            reason: error.to_string(),
        })?;
    if answer.status == "200" {
        Ok(())
    } else {
        Err(HealthcheckError::NotReady(answer.body))
    }
}

/// Why a service does not count as healthy.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HealthcheckError {
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

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::{Readiness, Shutdown, admin};

    fn serve(readiness: Readiness) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(admin::serve(listener, admin::router(readiness)));
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
