//! A connection whose bytes the framing reader sees before hyper does.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::socket::framing::{FramingError, FramingReader};

/// The verdicts on the requests of one connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Verdicts(Arc<Mutex<FramingReader>>);

impl Verdicts {
    /// The verdict on the next request.
    pub(super) fn next(&self) -> Result<(), FramingError> {
        let mut reader = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reader.next_verdict()
    }

    fn read(&self, bytes: &[u8]) {
        let mut reader = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reader.read(bytes);
    }
}

/// A stream that shows every received byte to the framing reader.
#[derive(Debug)]
pub(super) struct InspectedStream<S> {
    stream: S,
    verdicts: Verdicts,
}

impl<S> InspectedStream<S> {
    pub(super) const fn new(stream: S, verdicts: Verdicts) -> Self {
        Self { stream, verdicts }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for InspectedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if let Some(bytes) = buffer.filled().get(before..) {
            self.verdicts.read(bytes);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for InspectedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
