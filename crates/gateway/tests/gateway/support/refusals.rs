//! Why requests were refused, as the log tells it: callers are not told.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{LazyLock, Mutex};

use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};

use super::Answered;

/// The reason by the request's id, of every test in this process.
static REASONS: LazyLock<Mutex<HashMap<String, String>>> = LazyLock::new(|| {
    tracing::subscriber::set_global_default(Refusals).unwrap();
    Mutex::default()
});

/// Keeps the reasons from now on.
pub(super) fn keep() {
    LazyLock::force(&REASONS);
}

/// Why the request with this answer was refused.
pub(crate) fn reason_of(answered: &Answered) -> String {
    let id = answered.header("x-request-id").unwrap();
    let reasons = REASONS.lock().unwrap();
    let reason = reasons.get(id);
    reason
        .unwrap_or_else(|| panic!("not refused: {answered:?}"))
        .clone()
}

struct Refusals;

impl Subscriber for Refusals {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && metadata.target().starts_with("gateway")
    }

    fn event(&self, event: &Event<'_>) {
        let mut refusal = Refusal::default();
        event.record(&mut refusal);
        if let (Some(id), Some(reason)) = (refusal.request_id, refusal.reason) {
            REASONS.lock().unwrap().insert(id, reason);
        }
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[derive(Default)]
struct Refusal {
    request_id: Option<String>,
    reason: Option<String>,
}

impl Visit for Refusal {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "request.id" {
            self.request_id = Some(format!("{value:?}"));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "reason" {
            self.reason = Some(value.to_owned());
        }
    }
}
