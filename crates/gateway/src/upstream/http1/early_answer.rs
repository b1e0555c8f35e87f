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

/// For the rest of a request whose answer is over to get on.
const STALLED: Duration = Duration::from_secs(60);
/// Pieces of the answer that are read ahead.
const AHEAD: usize = 1;

/// What comes next of an answer; `None` says that it is over, and not cut short.
#[derive(Debug)]
struct Piece {
    frame: Option<Result<Frame<Bytes>, ExchangeError>>,
    /// Whether nothing follows: whoever has the last frame asks for no more, and lets go.
    is_last: bool,
}

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
            let Piece { frame, is_last } = piece.unwrap_or(Piece {
                frame: Some(Err(ExchangeError::Closed)),
                is_last: true,
            });
            self.is_over = is_last;
            frame
        })
    }
}

async fn drive(mut body: Body, pieces: mpsc::Sender<Piece>) {
    if body.is_read() || pass_on(&mut body, pieces).await.is_some() {
        send_rest(&mut body).await;
    }
}

/// Sends the rest of a request whose answer is over, as long as it gets on. Whatever becomes of it, the answer has gone
/// out.
async fn send_rest(body: &mut Body) {
    loop {
        let sent = body.sent_of_request();
        let rest = poll_fn(|context| body.poll_rest_of_request(context));
        if timeout(STALLED, rest).await.is_ok() || body.sent_of_request() == sent {
            return;
        }
    }
}

/// Passes the answer on to its end; `None` where it does not come to one, or nobody reads it any more.
async fn pass_on(body: &mut Body, pieces: mpsc::Sender<Piece>) -> Option<()> {
    loop {
        let room = room_for_next(body, &pieces).await?;
        let frame = tokio::select! {
            biased;
            frame = poll_fn(|context| body.poll(context)) => frame,
            () = pieces.closed() => return None,
        };
        let is_broken = matches!(frame, Some(Err(_)));
        let is_last = is_broken || frame.is_none() || body.is_read();
        room.send(Piece { frame, is_last });
        if is_last {
            return (!is_broken).then_some(());
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
