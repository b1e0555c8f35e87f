//! Every route on one page, and the two handlers.

use axum::extract::{DefaultBodyLimit, State};
use axum::routing::post;
use axum::{Extension, Json, Router, middleware};
use resource_server::{Caller, Protect};
use serde::Serialize;
use service::request_id::name_request;
use uuid::Uuid;

use crate::problem::Problem;
use crate::request_body::{LARGEST_BODY, OptionalJsonObject};
use crate::requests::{measure, pass_on_request_id};
use crate::transactions::{Transaction, Transactions};

/// The API: transactions for callers whom `protect` lets through, JSON for everybody.
pub fn router(protect: Protect) -> Router {
    let transactions = post(create_transaction)
        .get(list_transactions)
        .route_layer(protect);
    Router::new()
        .route("/api/transactions", transactions)
        .fallback(async |Extension(request_id)| Problem::NotFound.of(request_id))
        .method_not_allowed_fallback(async |Extension(request_id)| Problem::MethodNotAllowed.of(request_id))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(middleware::map_request(pass_on_request_id))
        .layer(middleware::from_fn(measure))
        .layer(middleware::from_fn(name_request))
        .with_state(Transactions::default())
}

#[derive(Serialize)]
struct Created {
    message: &'static str,
    id: Uuid,
    client_id: String,
}

async fn create_transaction(
    State(transactions): State<Transactions>,
    caller: Caller,
    _body: OptionalJsonObject,
) -> Json<Created> {
    let transaction = Transaction::now();
    let (id, client_id) = (transaction.id, caller.client_id);
    transactions.add(&client_id, transaction);
    tracing::info!(transaction.id = %id, client.id = client_id, token.jti = caller.jti,
        "transaction {id} of {client_id} created");
    Json(Created {
        message: "Success response from the Example API",
        id,
        client_id,
    })
}

async fn list_transactions(
    State(transactions): State<Transactions>,
    caller: Caller,
) -> Json<Vec<Transaction>> {
    Json(transactions.of(&caller.client_id))
}

#[cfg(test)]
mod tests;
