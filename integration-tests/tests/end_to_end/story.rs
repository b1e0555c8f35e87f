//! The demo's story, told to a test.

use demo::{
    narration::{Narration, Outcome},
    scenarios,
};
use integration_tests::TestSystem;

#[tokio::test(flavor = "multi_thread")]
async fn every_outcome_of_the_demo_is_as_it_must_be() {
    let system = TestSystem::start().await;
    let mut text = Vec::new();
    let mut narration = Narration::new(&mut text);
    scenarios::tell(&system, &mut narration).await.unwrap();
    let verdict = narration.conclude().unwrap();
    assert_eq!(verdict, Outcome::AsExpected, "{}", String::from_utf8_lossy(&text));
}
