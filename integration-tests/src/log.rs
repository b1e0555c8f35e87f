//! The log of everything that runs in the test's process, so that a test can read the reason of a refusal.
//!
//! Tests run side by side in one process; a line is found by the request id that the refused caller was given.

use std::{
    io::{self, Write},
    sync::{Mutex, Once},
    time::Duration,
};

use serde_json::Value;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// How long a line may take to be written after the answer was received.
const PATIENCE: Duration = Duration::from_secs(10);

/// Starts to keep the log; once is enough.
pub fn capture() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let filter: Targets = "info,rustls=error".parse().expect("a filter that is understood");
        let lines = tracing_subscriber::fmt::layer().json().flatten_event(true);
        tracing_subscriber::registry()
            .with(filter)
            .with(lines.with_writer(Captured))
            .init();
    });
}

/// Everything logged so far, as text: for what must never stand in it.
pub fn everything() -> String {
    String::from_utf8_lossy(&LINES.lock().unwrap()).into_owned()
}

/// The first event for which `wanted` holds, as soon as there is one.
///
/// # Panics
///
/// When there is none in time.
pub async fn event(wanted: impl Fn(&Value) -> bool) -> Value {
    let search = async {
        loop {
            if let Some(event) = events().into_iter().find(|event| wanted(event)) {
                return event;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, search)
        .await
        .expect("the event is logged in time")
}

/// The value of `field` in the event that carries `request_id` and that field.
///
/// # Panics
///
/// When there is none in time.
pub async fn field_of_request(request_id: &str, field: &str) -> String {
    let of_request = |event: &Value| event["request.id"] == request_id && event[field].is_string();
    event(of_request).await[field].as_str().unwrap().to_owned()
}

fn events() -> Vec<Value> {
    everything()
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

#[derive(Clone, Copy, Debug)]
struct Captured;

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Captured {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}
