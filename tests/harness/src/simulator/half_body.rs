//! A response body that ends after its first half.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame};

/// The first half of a body, followed by an error, which closes the connection.
pub(super) struct HalfBody {
    half: Option<Bytes>,
    flushed: bool,
}

impl HalfBody {
    pub fn of(body: Vec<u8>) -> Self {
        let mut half = Bytes::from(body);
        half.truncate(half.len() / 2);
        Self { half: Some(half), flushed: false }
    }
}

impl Body for HalfBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        if let Some(half) = this.half.take() {
            return Poll::Ready(Some(Ok(Frame::data(half))));
        }
        if !this.flushed {
            // hyper sends buffered data when the body is pending. With an error, it would discard the data.
            this.flushed = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())))
    }
}
