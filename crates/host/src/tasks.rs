//! What is done besides answering requests: at intervals and when there is cause, by a host on a
//! socket itself, and on Lambda by a function of its own (`portcullis-tasks`) on a schedule or on
//! the table's stream.
//!
//! Every task may run anywhere, at any time, any number of times at once: what is due is settled
//! in the store.

use core::sync::atomic::Ordering;
use core::time::Duration;
use std::sync::Arc;

use portcullis_core::revocation::closed_before;
use portcullis_core::time::UnixTime;
use portcullis_service::audit_trail::{self, SealOutcome};
use portcullis_service::mailing::deliver::{Delivery, deliver_due};
use portcullis_service::pack::{self, Outcome};
use portcullis_service::ports::{RequestMeta, SecureRandom as _};
use tokio::{select, time};
use tracing::{error, info, warn};

use crate::clock::RequestClock;
use crate::error_chain::ErrorChain;
use crate::failure::HostFailure;
use crate::host::Host;
use crate::metrics;

/// How often a host on a socket looks for what is due, besides being told.
const POLL: Duration = Duration::from_secs(15);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How far back days are sealed that nobody was there to seal.
const SEALED_LATE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How many rounds of mail one run takes on: what is left waits for the next.
const ROUNDS: usize = 16;

/// What one run did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, serde::Serialize)]
pub struct Report {
    /// Mails handed over.
    pub mails_sent: usize,
    /// Mails that failed and will be tried again.
    pub mails_postponed: usize,
    /// Mails that are given up.
    pub mails_given_up: usize,
    /// Shards of the audit trail's past days that were sealed.
    pub shards_sealed: u32,
    /// Names of the revocation feed's closed minutes that were packed.
    pub names_packed: u64,
}

/// Does everything that is due, each task for itself: one that fails keeps no other from its turn.
///
/// # Errors
///
/// The first [`HostFailure`] that kept a task from being done; each is logged.
pub async fn run_due(host: &Host) -> Result<Report, HostFailure> {
    let mut report = Report::default();
    // Each task that there is, in its turn.
    let ends = [
        deliver_mail(host, &mut report).await,
        seal_audit(host, &mut report).await,
        pack_feed(host, &mut report).await,
    ];
    for failure in ends.iter().filter_map(|end| end.as_ref().err()) {
        error!(
            error = %ErrorChain(failure),
            setting = failure.setting(),
            "a task failed; the next run retries it"
        );
    }
    ends.into_iter().collect::<Result<(), _>>()?;
    Ok(report)
}

/// Does everything that is due, and leaves nothing to be told: the process may be frozen from here
/// on, and never be woken.
///
/// # Errors
///
/// As [`run_due`].
pub async fn run_and_flush(host: &Host) -> Result<Report, HostFailure> {
    let end = run_due(host).await;
    host.flush_metrics_now(host.clock.read()?);
    end
}

/// Runs what is due now, then whenever the host is told that there is something, and at intervals.
pub async fn keep_running(host: Arc<Host>) {
    loop {
        // What went wrong is logged, and the next round is the answer to it.
        let _ = run_due(&host).await;
        // Nobody may come for hours, and the mail that left shall be known all the same.
        if let Ok(now) = host.clock.read() {
            host.flush_metrics(now);
        }
        select! {
            () = host.mail_waits.notified() => {}
            () = time::sleep(POLL) => {}
        }
    }
}

async fn deliver_mail(host: &Host, report: &mut Report) -> Result<(), HostFailure> {
    for _ in 0..ROUNDS {
        let call = call(host)?;
        let Some(mailer) = host.mailer.at(&host.client, call.now) else {
            return Ok(());
        };
        let (store, clock) = (
            host.store(call.now),
            RequestClock::new(&*host.clock, call.now),
        );
        let ctx = host.ctx(&store, &call).await?;
        let delivery = deliver_due(&mailer, &clock, ctx).await;
        let delivery = host.track(delivery)?;
        clock.ensure_readable()?;
        note(&delivery, report);
        if !delivery.more {
            return Ok(());
        }
    }
    Ok(())
}

/// Seals the audit trail of the days that have closed. Each host does so once a day; the first one
/// to come has sealed it.
async fn seal_audit(host: &Host, report: &mut Report) -> Result<(), HostFailure> {
    let call = call(host)?;
    let yesterday = call.now.minus(DAY);
    let mut sealed = UnixTime::from_secs(host.sealed_until.load(Ordering::Relaxed));
    if !audit_trail::is_due(sealed, call.now) {
        return Ok(());
    }
    let store = host.store(call.now);
    let vault = host.track(host.vault.open(&host.client, call.now).await)?;
    for day in audit_trail::days(call.now.minus(SEALED_LATE), yesterday) {
        match host.track(audit_trail::seal(day, &store, vault, &call).await)? {
            SealOutcome::Sealed(shards) => {
                report.shards_sealed = report.shards_sealed.saturating_add(shards);
                sealed = day;
            }
            SealOutcome::Open => break,
        }
    }
    host.sealed_until.store(sealed.as_secs(), Ordering::Relaxed);
    Ok(())
}

/// Packs what has closed of the revocation feed, once a minute. Of several hosts one is first.
async fn pack_feed(host: &Host, report: &mut Report) -> Result<(), HostFailure> {
    let call = call(host)?;
    let closed = closed_before(call.now).as_secs();
    if host.packed_until.load(Ordering::Relaxed) >= closed {
        return Ok(());
    }
    let lifetime = host.settings.issuing.lifetime;
    let store = host.store(call.now);
    let end = match pack::pack(&store, lifetime, call.now, &call.request_id).await {
        Ok(Outcome::Done { names }) => {
            report.names_packed = report.names_packed.saturating_add(names);
            host.packed_until.store(closed, Ordering::Relaxed);
            Ok(())
        }
        Ok(Outcome::Part { names, until }) => {
            report.names_packed = report.names_packed.saturating_add(names);
            metrics::pack_lag(until, call.now);
            return Ok(());
        }
        Ok(Outcome::Withdrawn { spans }) => {
            error!(
                spans,
                "the feed was packed before it was closed: the clock of a host is fast"
            );
            Ok(())
        }
        // Whoever is at it tells how far that came.
        Ok(Outcome::Contended) => return Ok(()),
        Err(error) => Err(HostFailure::from(error)),
    };
    let packed_until = host.packed_until.load(Ordering::Relaxed);
    metrics::pack_lag(UnixTime::from_secs(packed_until), call.now);
    end
}

fn note(delivery: &Delivery, report: &mut Report) {
    for error in &delivery.postponed {
        warn!(error = %ErrorChain(error), "a mail was not sent; it is tried again");
    }
    for error in &delivery.given_up {
        error!(error = %ErrorChain(error), "a mail is given up");
    }
    if delivery.sent > 0 {
        info!(count = delivery.sent, "sent mail");
    }
    let add = |sum: &mut usize, more: usize| *sum = sum.saturating_add(more);
    add(&mut report.mails_sent, delivery.sent);
    add(&mut report.mails_postponed, delivery.postponed.len());
    add(&mut report.mails_given_up, delivery.given_up.len());
}

/// A call that nobody made.
fn call(host: &Host) -> Result<RequestMeta, HostFailure> {
    let now: UnixTime = host.clock.read()?;
    Ok(RequestMeta {
        now,
        request_id: host.chance.id()?,
        client_address: String::new(),
    })
}
