//! What changes while the server runs: the registered clients, and the keys that sign.

use oauth_core::time::Timestamp;
use serde_json::Value;

use super::{DEMO, Harness, certificate, now, post, verifier};
use crate::Configuration;
use crate::registrations::Registrations;
use crate::router::TOKEN;
use crate::signing_keys::key_set::ANNOUNCEMENT;

const REQUEST: &str = "grant_type=client_credentials&client_id=partner-client";

/// I5: at once, at the token endpoint and for the tokens that are about; and others stay.
#[tokio::test]
async fn a_client_that_is_removed_or_disabled_gets_no_token_and_its_tokens_are_inactive() {
    let harness = Harness::new();
    let (partner, other) = (certificate("demo-partner"), certificate("other-partner"));
    let token = harness.token(&partner).await;
    let removed = DEMO.replace("\"partner-client\"", "\"somebody-else\"");
    let disabled = DEMO.replace(
        "client_id = \"partner-client\"",
        "client_id = \"partner-client\"\ndisabled = true",
    );
    for changed in [removed, disabled] {
        harness.register_anew(&changed);
        assert!(!harness.is_active(&token).await);
        let refused = harness.send(post(TOKEN, REQUEST), Some(&partner)).await;
        assert_eq!(
            (refused.status.as_u16(), refused.refusal().1.as_str()),
            (401, "invalid_client")
        );
        let request = post(TOKEN, "grant_type=client_credentials&client_id=other-client");
        let issued = harness.send(request, Some(&other)).await;
        let others = issued.json()["access_token"].as_str().unwrap().to_owned();
        assert!(harness.is_active(&others).await);

        harness.register_anew(DEMO);
        assert!(harness.is_active(&token).await, "it was never revoked");
    }
}

/// P17: the JWT names the key that signs now, and every key that signs has been published before.
#[tokio::test]
async fn a_rotation_changes_the_key_that_signs_and_breaks_no_verification() {
    let harness = Harness::new();
    let token = harness.token(&certificate("demo-partner")).await;
    let keys = &harness.server.signing_keys;
    let before = harness.jwt(&token).await;
    let published = harness.keys();
    let rotation = keys.rotate(now()).await.unwrap();
    assert!(now() < rotation.signs_from && rotation.signs_from <= now().plus(ANNOUNCEMENT));
    let announced = harness.jwt(&token).await;
    let key_id = |jwt: &str| unverified_header(jwt)["kid"].as_str().unwrap().to_owned();
    assert_eq!(
        key_id(&before),
        key_id(&announced),
        "it has not been shown for long enough"
    );
    assert!(published.contains(&rotation.key_id), "it is shown all the while");

    // As long after the first start as the announcement takes.
    let later = Timestamp::from_unix_seconds(rotation.signs_from.as_unix_seconds());
    assert_eq!(keys.current(later).unwrap().key_id(), rotation.key_id);
    verifier().verify(&before, &harness.keys(), now()).unwrap();
}

fn unverified_header(jwt: &str) -> Value {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let header = jwt.split('.').next().unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap()
}

impl Harness {
    fn register_anew(&self, configuration: &str) {
        let configuration = Configuration::from_toml(configuration).unwrap();
        self.server
            .register_anew(Registrations::load(&configuration).unwrap());
    }

    async fn jwt(&self, token: &str) -> String {
        let answer = self.introspect(token, "application/jwt").await;
        assert_eq!(answer.status.as_u16(), 200);
        answer.body
    }
}
