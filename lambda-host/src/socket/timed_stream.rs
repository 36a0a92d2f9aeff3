//! A connection with deadlines for the head of a request, for silence and for writing.

use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// The timeouts of one connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadlines {
    /// From the first to the last byte of a head.
    pub(super) header: Duration,
    /// Of silence between two requests.
    pub(super) idle: Duration,
    /// Without an accepted byte of a response.
    pub(super) write: Duration,
}

/// Whether a request of the connection is being handled. Meanwhile no read deadline applies: the body
/// has its own, and a client that waits for its response is silent.
#[derive(Clone, Debug, Default)]
pub(super) struct Handling(Arc<AtomicBool>);

impl Handling {
    pub(super) fn begin(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub(super) fn end(&self) {
        self.0.store(false, Ordering::Release);
    }

    fn is_under_way(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A stream that fails with [`io::ErrorKind::TimedOut`] once a deadline has passed.
#[derive(Debug)]
pub(super) struct TimedStream<S> {
    stream: S,
    deadlines: Deadlines,
    handling: Handling,
    silent_since: Instant,
    head_since: Option<Instant>,
    blocked_since: Option<Instant>,
    read_timer: Pin<Box<Sleep>>,
    write_timer: Pin<Box<Sleep>>,
}

impl<S> TimedStream<S> {
    pub(super) fn new(stream: S, deadlines: Deadlines, handling: Handling) -> Self {
        Self {
            stream,
            deadlines,
            handling,
            silent_since: Instant::now(),
            head_since: None,
            blocked_since: None,
            read_timer: Box::pin(sleep(deadlines.idle)),
            write_timer: Box::pin(sleep(deadlines.write)),
        }
    }

    /// Ends a read that has no data by its deadline.
    fn read_late(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.handling.is_under_way() {
            return Poll::Pending;
        }
        let (since, span) = match self.head_since {
            Some(since) => (since, self.deadlines.header),
            None => (self.silent_since, self.deadlines.idle),
        };
        ready!(expired(&mut self.read_timer, since, span, context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Notes the outcome of a write, and ends one without progress by its deadline.
    fn written(
        &mut self,
        outcome: Poll<io::Result<usize>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if outcome.is_ready() {
            self.blocked_since = None;
            self.silent_since = Instant::now();
            if !self.handling.is_under_way() {
                // The response to the request has begun: the next byte begins a new head.
                self.head_since = None;
            }
            return outcome;
        }
        let since = *self.blocked_since.get_or_insert_with(Instant::now);
        let span = self.deadlines.write;
        ready!(expired(&mut self.write_timer, since, span, context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

fn expired(
    timer: &mut Pin<Box<Sleep>>,
    since: Instant,
    span: Duration,
    context: &mut Context<'_>,
) -> Poll<()> {
    let deadline = since.checked_add(span).unwrap_or(since);
    if timer.deadline() != deadline {
        timer.as_mut().reset(deadline);
    }
    timer.as_mut().poll(context)
}

impl<S: AsyncRead + Unpin> AsyncRead for TimedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(context, buffer) {
            let more = buffer.filled().len() > before;
            if more && !self.handling.is_under_way() && self.head_since.is_none() {
                self.head_since = Some(Instant::now());
            }
            // A client that sends its head byte by byte makes every read succeed.
            let late = |since: Instant| since.elapsed() >= self.deadlines.header;
            if more && !self.handling.is_under_way() && self.head_since.is_some_and(late) {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            return Poll::Ready(read);
        }
        self.read_late(context)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TimedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(outcome, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.written(outcome, context)
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use tokio::time::timeout;

    use super::*;

    const DEADLINES: Deadlines = Deadlines {
        header: Duration::from_secs(15),
        idle: Duration::from_secs(75),
        write: Duration::from_secs(30),
    };

    fn pair(room: usize) -> (TimedStream<DuplexStream>, DuplexStream, Handling) {
        let (ours, theirs) = duplex(room);
        let handling = Handling::default();
        let stream = TimedStream::new(ours, DEADLINES, handling.clone());
        (stream, theirs, handling)
    }

    /// The whole seconds after which `attempt` failed with a timeout.
    async fn seconds_until_late<T>(attempt: impl Future<Output = io::Result<T>>) -> u64 {
        let began = Instant::now();
        let kind = attempt.await.map(|_| ()).map_err(|error| error.kind());
        assert_eq!(kind, Err(io::ErrorKind::TimedOut));
        began.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_connection_ends_after_the_idle_timeout() {
        let (mut stream, _theirs, _) = pair(64);
        assert_eq!(seconds_until_late(stream.read_u8()).await, 75);
    }

    #[tokio::test(start_paused = true)]
    async fn slowloris_a_head_has_one_deadline_however_its_bytes_arrive() {
        for pause in [1, 4, 14] {
            let (mut stream, mut theirs, _) = pair(64);
            let sender = tokio::spawn(async move {
                while theirs.write_u8(b'a').await.is_ok() {
                    sleep(Duration::from_secs(pause)).await;
                }
            });
            let head = async {
                loop {
                    stream.read_u8().await?;
                }
                #[expect(unreachable_code, reason = "names the type")]
                Ok(())
            };
            let late = seconds_until_late(head).await;
            assert!((15..15 + pause).contains(&late), "{pause}: {late}");
            sender.abort();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_waits_for_its_response_is_not_late() {
        let (mut stream, mut theirs, handling) = pair(64);
        theirs.write_all(b"head").await.expect("sent");
        let mut head = [0; 4];
        stream.read_exact(&mut head).await.expect("read");
        handling.begin();
        let waiting = timeout(Duration::from_secs(600), stream.read_u8()).await;
        assert!(waiting.is_err(), "still open");
        handling.end();
        stream.write_all(b"response").await.expect("written");
        // The next head begins with its first byte, after at most the idle timeout.
        sleep(Duration::from_secs(60)).await;
        theirs.write_u8(b'b').await.expect("sent");
        stream.read_u8().await.expect("read");
        assert_eq!(seconds_until_late(stream.read_u8()).await, 15);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_no_response_ends_after_the_write_timeout() {
        let (mut stream, _theirs, _) = pair(8);
        assert_eq!(seconds_until_late(stream.write_all(&[0; 64])).await, 30);
        // A slow reader that makes progress is served.
        let (mut stream, mut theirs, _) = pair(8);
        let reader = tokio::spawn(async move {
            let mut got = 0;
            while got < 64 {
                sleep(Duration::from_secs(29)).await;
                let mut bytes = [0; 8];
                theirs.read_exact(&mut bytes).await.expect("read");
                got += 8;
            }
        });
        stream.write_all(&[0; 64]).await.expect("written");
        reader.await.expect("no panic");
    }
}
