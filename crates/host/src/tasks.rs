//! The tasks beside requests: at intervals and on demand, by a host on a socket, and on Lambda by
//! the function `portcullis-tasks` on a schedule or on the table's stream.
//!
//! INVARIANT: every task may run anywhere, at any time, and any number of times at once. The store
//! decides which work is due.

use core::sync::atomic::Ordering;
use core::time::Duration;
use std::sync::Arc;

use portcullis_core::revocation::closed_before;
use portcullis_core::time::UnixTime;
use portcullis_service::audit_trail::{self, SealOutcome};
use portcullis_service::mailing::deliver::{Delivery, deliver_due};
use portcullis_service::pack::{self, PackOutcome};
use portcullis_service::ports::{RequestMeta, SecureRandom as _};
use tokio::{select, time};
use tracing::{error, info, warn};

use crate::clock::RequestClock;
use crate::error_chain::ErrorChain;
use crate::failure::HostFailure;
use crate::host::Host;
use crate::metrics;

/// The interval at which a host on a socket checks for due work; it is also woken on demand.
const POLL: Duration = Duration::from_secs(15);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The number of past days that are sealed if no host ran then.
const SEALED_LATE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The maximum number of mail batches in one run; the next run continues.
const ROUNDS: usize = 16;

/// The result of one run.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, serde::Serialize)]
pub struct TaskReport {
    /// Mails handed to the transport.
    pub mails_sent: usize,
    /// Mails that failed and are retried later.
    pub mails_postponed: usize,
    /// Mails that are given up.
    pub mails_given_up: usize,
    /// Shards of the audit trail's past days that were sealed.
    pub shards_sealed: u32,
    /// Identifiers of closed minutes of the revocation feed that were packed.
    pub names_packed: u64,
}

/// Runs all due work. A failed task does not keep the others from running.
///
/// # Errors
///
/// The first [`HostFailure`] of a task; each failure is logged.
pub async fn run_due(host: &Host) -> Result<TaskReport, HostFailure> {
    let mut report = TaskReport::default();
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

/// Runs all due work and flushes the metrics: Lambda may freeze the process afterwards and never
/// resume it.
///
/// # Errors
///
/// As [`run_due`].
pub async fn run_and_flush(host: &Host) -> Result<TaskReport, HostFailure> {
    let end = run_due(host).await;
    host.flush_metrics_now(host.clock.read()?);
    end
}

/// Runs the due work now, whenever the host is notified, and at intervals.
pub async fn keep_running(host: Arc<Host>) {
    loop {
        // The failure is logged; the next run retries.
        let _ = run_due(&host).await;
        // Metrics are flushed even if no request arrives for hours.
        if let Ok(now) = host.clock.read() {
            host.flush_metrics(now);
        }
        select! {
            () = host.mail_waits.notified() => {}
            () = time::sleep(POLL) => {}
        }
    }
}

async fn deliver_mail(host: &Host, report: &mut TaskReport) -> Result<(), HostFailure> {
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

/// Seals the audit trail of closed days. Each host checks once a day; the first one seals.
async fn seal_audit(host: &Host, report: &mut TaskReport) -> Result<(), HostFailure> {
    let call = call(host)?;
    let yesterday = call.now.minus(DAY);
    let mut sealed = UnixTime::from_secs(host.sealed_until.load(Ordering::Relaxed));
    if !audit_trail::is_due(sealed, call.now) {
        return Ok(());
    }
    let store = host.store(call.now);
    let root_keys = host.track(host.root_keys.open(&host.client, call.now).await)?;
    for day in audit_trail::days(call.now.minus(SEALED_LATE), yesterday) {
        match host.track(audit_trail::seal(day, &store, root_keys, &call).await)? {
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

/// Packs closed minutes of the revocation feed, once a minute. One of several hosts wins.
async fn pack_feed(host: &Host, report: &mut TaskReport) -> Result<(), HostFailure> {
    let call = call(host)?;
    let closed = closed_before(call.now).as_secs();
    if host.packed_until.load(Ordering::Relaxed) >= closed {
        return Ok(());
    }
    let lifetime = host.settings.issuing.lifetime;
    let store = host.store(call.now);
    let end = match pack::pack(&store, lifetime, call.now, &call.request_id).await {
        Ok(PackOutcome::Done { names }) => {
            report.names_packed = report.names_packed.saturating_add(names);
            host.packed_until.store(closed, Ordering::Relaxed);
            Ok(())
        }
        Ok(PackOutcome::Part { names, until }) => {
            report.names_packed = report.names_packed.saturating_add(names);
            metrics::pack_lag(until, call.now);
            return Ok(());
        }
        Ok(PackOutcome::Withdrawn { spans }) => {
            error!(
                spans,
                "the feed was packed before it was closed: the clock of a host is fast"
            );
            Ok(())
        }
        // The host that packs reports its own progress.
        Ok(PackOutcome::Contended) => return Ok(()),
        Err(error) => Err(HostFailure::from(error)),
    };
    let packed_until = host.packed_until.load(Ordering::Relaxed);
    metrics::pack_lag(UnixTime::from_secs(packed_until), call.now);
    end
}

fn note(delivery: &Delivery, report: &mut TaskReport) {
    for error in &delivery.postponed {
        warn!(error = %ErrorChain(error), "a mail was not sent; it is retried");
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

/// The request data of a task, which has no client.
fn call(host: &Host) -> Result<RequestMeta, HostFailure> {
    let now: UnixTime = host.clock.read()?;
    Ok(RequestMeta {
        now,
        request_id: host.random.id()?,
        client_address: String::new(),
    })
}
