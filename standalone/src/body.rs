//! The body of a request from a connection, which fails when it is not complete in time.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::BoxError;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::time::{Sleep, sleep};

/// A body with a deadline for all of it.
pub(crate) struct Timed {
    body: Incoming,
    limit: Duration,
    /// Runs from the first time that somebody waits for a part of it.
    late: Option<Pin<Box<Sleep>>>,
}

impl Timed {
    pub(crate) fn new(body: Incoming, limit: Duration) -> Self {
        Self { body, limit, late: None }
    }
}

impl HttpBody for Timed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        let limit = this.limit;
        let late = this.late.get_or_insert_with(|| Box::pin(sleep(limit)));
        if late.as_mut().poll(context).is_ready() {
            let why = format!("it was not complete within {limit:?}");
            return Poll::Ready(Some(Err(io::Error::other(why).into())));
        }
        Pin::new(&mut this.body).poll_frame(context).map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
