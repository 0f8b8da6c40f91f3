//! What is sent back to a client.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use http_body_util::Full;
use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};

use crate::passing::Passing;

/// An error that ends a connection.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of an answer: one of our own, or one that passes through.
pub(crate) enum Body {
    Own(Full<Bytes>),
    Passing(Box<Passing>),
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(text: T) -> Self {
        Self::Own(Full::new(text.into()))
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Self::Own(own) => Pin::new(own).poll_frame(cx).map_err(Into::into),
            Self::Passing(passing) => passing.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(own) => own.is_end_stream(),
            Self::Passing(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(own) => own.size_hint(),
            Self::Passing(passing) => passing.size_hint(),
        }
    }
}
