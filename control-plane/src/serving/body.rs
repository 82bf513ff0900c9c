//! Bodies: of requests, with a deadline for the whole body; of responses, with a notice when one is taken and when it was
//! sent.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::time::{Sleep, sleep};

use super::pulse::UnderWay;

/// The body of a request, which fails when it is not complete in time.
pub(super) struct Timed {
    body: Incoming,
    limit: Duration,
    /// Runs from the first time that somebody waits for a part of it.
    late: Option<Pin<Box<Sleep>>>,
}

impl Timed {
    pub(super) fn new(body: Incoming, limit: Duration) -> Self {
        Self { body, limit, late: None }
    }
}

/// A body was not complete in time.
#[derive(Debug)]
struct Late(Duration);

impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the body was not complete within {:?}", self.0)
    }
}

impl std::error::Error for Late {}

impl HttpBody for Timed {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        let this = self.get_mut();
        let limit = this.limit;
        let late = this.late.get_or_insert_with(|| Box::pin(sleep(limit)));
        if late.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(io::Error::other(Late(limit)).into())));
        }
        Pin::new(&mut this.body).poll_frame(cx).map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer, whose request is under way until it was sent.
pub(super) struct HeldRoom {
    body: Body,
    under_way: UnderWay,
}

impl HeldRoom {
    pub(super) fn new(body: Body, under_way: UnderWay) -> Self {
        under_way.offer();
        Self { body, under_way }
    }
}

impl HttpBody for HeldRoom {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let part = Pin::new(&mut self.body).poll_frame(cx);
        match part {
            Poll::Ready(_) => self.under_way.offer(),
            Poll::Pending => self.under_way.work(),
        }
        part
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
