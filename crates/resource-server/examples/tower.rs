//! An API of tower services alone, without axum, network or files: `cargo run -p resource-server --example tower`.
//!
//! Shows what an acceptor of one's own does for each connection, and what the layer makes of four requests.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt, Full};
use resource_server::testing::TestIssuer;
use resource_server::{Caller, PeerCertificate, ResourceServer};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

type Answer = Response<Full<Bytes>>;

/// Any service that answers with a body made of a `String` can be protected.
fn api(
    resource_server: &ResourceServer,
) -> anyhow::Result<impl Service<Request<()>, Response = Answer, Error = Infallible> + Clone> {
    let list_orders = service_fn(async |request: Request<()>| {
        // There is a caller, or this would not be reached.
        let caller = request.extensions().get::<Caller>();
        let client_id = caller.map_or("nobody", |caller| caller.client_id.as_str());
        let body = format!("the orders of {client_id}");
        Ok(Response::new(Full::from(body)))
    });
    let protect = resource_server.require_scope("orders".parse()?);
    Ok(ServiceBuilder::new().layer(protect).service(list_orders))
}

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "what it shows is its purpose")]
async fn main() -> anyhow::Result<()> {
    // An API in service takes `VerificationKeys::from_jwks`, or the feature `jwks` and `RemoteJwks`.
    let issuer = TestIssuer::new("https://login.example.com");
    let resource_server = issuer
        .resource_server("api.example.com")
        .resource(&"https://api.example.com".parse()?);
    let api = api(&resource_server)?;

    // An acceptor does this once for each connection, with the leaf certificate of the handshake.
    let partner = rcgen::generate_simple_self_signed(["partner.example.com".to_owned()])?;
    let thief = rcgen::generate_simple_self_signed(["thief.example.com".to_owned()])?;
    let partners_connection = PeerCertificate::from_der(partner.cert.der())?;
    let thiefs_connection = PeerCertificate::from_der(thief.cert.der())?;

    let bound = || issuer.token("api.example.com").bound_to(partner.cert.der());
    let good = bound().scope("orders").sign()?;
    let without_scope = bound().sign()?;
    for (who, connection, token) in [
        ("the partner", &partners_connection, Some(&good)),
        ("the thief", &thiefs_connection, Some(&good)),
        (
            "the partner, without scope",
            &partners_connection,
            Some(&without_scope),
        ),
        ("the partner, without token", &partners_connection, None),
    ] {
        let mut request = Request::get("/orders").body(())?;
        request.extensions_mut().insert(connection.clone());
        if let Some(token) = token {
            let value = format!("Bearer {token}").parse()?;
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
        let (head, body) = api.clone().oneshot(request).await?.into_parts();
        let body = String::from_utf8(body.collect().await?.to_bytes().to_vec())?;
        println!("{who}: {} {body}", head.status);
        if let Some(challenge) = head.headers.get(header::WWW_AUTHENTICATE) {
            println!("  {}", challenge.to_str()?);
        }
    }
    Ok(())
}
