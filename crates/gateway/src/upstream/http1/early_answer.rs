//! An answer whose request was not whole yet. Both go on, each at its own pace, whether or not the answer is read: some
//! callers send all they have to say before they read, and some APIs read on after they have answered. A task sees to
//! it; the few answers that come so early cost one.

use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::poll_fn;
use http_body::Frame;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{Body, ExchangeError};

/// For the rest of a request whose answer is over.
const LONGEST_REST: Duration = Duration::from_secs(60);
/// Pieces of the answer that are read ahead.
const AHEAD: usize = 1;

/// `None` says that the answer is over, and not cut short.
type Piece = Option<Result<Frame<Bytes>, ExchangeError>>;

/// The body of such an answer.
#[derive(Debug)]
pub(crate) struct EarlyAnswer {
    pieces: mpsc::Receiver<Piece>,
    is_over: bool,
}

impl EarlyAnswer {
    /// Has a task drive the rest of both.
    pub(in crate::upstream) fn drive(body: Body) -> Self {
        let (sender, pieces) = mpsc::channel(AHEAD);
        let is_over = body.is_read();
        tokio::spawn(drive(body, sender));
        Self { pieces, is_over }
    }

    pub(in crate::upstream) const fn is_over(&self) -> bool {
        self.is_over
    }

    pub(in crate::upstream) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ExchangeError>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        self.pieces.poll_recv(context).map(|piece| {
            // Without its last word an answer is cut short.
            let piece = piece.unwrap_or(Some(Err(ExchangeError::Closed)));
            self.is_over = !matches!(piece, Some(Ok(_)));
            piece
        })
    }
}

async fn drive(mut body: Body, pieces: mpsc::Sender<Piece>) {
    if body.is_read() || pass_on(&mut body, pieces).await.is_some() {
        let rest = poll_fn(|context| body.poll_rest_of_request(context));
        // Whatever became of it: the answer has gone out.
        let _finished = timeout(LONGEST_REST, rest).await;
    }
}

/// Passes the answer on to its end; `None` where it does not come to one, or nobody reads it any more.
async fn pass_on(body: &mut Body, pieces: mpsc::Sender<Piece>) -> Option<()> {
    loop {
        let room = room_for_next(body, &pieces).await?;
        let piece = tokio::select! {
            biased;
            piece = poll_fn(|context| body.poll(context)) => piece,
            () = pieces.closed() => return None,
        };
        let is_last = piece.is_none();
        let is_broken = matches!(piece, Some(Err(_)));
        room.send(piece);
        if is_last || is_broken {
            return is_last.then_some(());
        }
    }
}

/// Waits until the last piece was taken, and sends the request on meanwhile.
async fn room_for_next<'a>(
    body: &mut Body,
    pieces: &'a mpsc::Sender<Piece>,
) -> Option<mpsc::Permit<'a, Piece>> {
    let mut room = pin!(pieces.reserve());
    poll_fn(|context| {
        // Why it broke off, the next look at the answer says again.
        let _under_way = body.poll_rest_of_request(context);
        room.as_mut().poll(context)
    })
    .await
    .ok()
}
