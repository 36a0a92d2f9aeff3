//! Starts the host with its settings.

use core::time::Duration;
use std::io;
use std::sync::Arc;

use portcullis_service::ports::SecureRandom as _;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::{select, time};
use tracing::{error, info, warn};

use crate::http_service::HttpService;
use crate::{lambda, socket};
use portcullis_host::config::{Config, ListenMode};
use portcullis_host::error_chain::ErrorChain;
use portcullis_host::host::{Host, HostError, HostOptions};
use portcullis_host::keys::setting;
use portcullis_host::mailer::MailDelivery;
use portcullis_host::tasks;

/// The maximum wait between two attempts to publish the signing key.
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// The host did not start, or stopped.
#[derive(Debug, Error)]
pub enum StartError {
    /// The system provides no threads or signals.
    #[error("the system does not run the host: {0}")]
    System(#[source] io::Error),
    /// The address cannot be bound.
    #[error("PORTCULLIS_LISTEN: {0} cannot be listened on: {1}")]
    Listen(core::net::SocketAddr, #[source] io::Error),
    /// The host cannot be created.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The Lambda Runtime API failed.
    #[error("the Lambda Runtime API failed: {0}")]
    Lambda(#[source] lambda_http::Error),
    /// The program serves Lambda events only.
    #[error("{instead}")]
    OnlyOnLambda {
        /// The advice for an operator.
        instead: &'static str,
    },
}

/// Serves with the settings `config` until SIGTERM or SIGINT.
///
/// # Errors
///
/// [`StartError`].
pub fn run(config: Config) -> Result<(), StartError> {
    let entrance = config.entrance;
    warn_of_mail(&config);
    let reception = HttpService::new(Arc::new(Host::new(config, HostOptions::default())?));
    match entrance {
        // One request at a time: more threads would only cost start-up time.
        ListenMode::Lambda => on_one_thread()?
            .block_on(lambda::serve(reception))
            .map_err(StartError::Lambda),
        ListenMode::Socket(address) => runtime(&mut Builder::new_multi_thread())?.block_on(async {
            let listener = TcpListener::bind(address).await;
            let listener = listener.map_err(|error| StartError::Listen(address, error))?;
            let stop = stopped().map_err(StartError::System)?;
            let address = listener.local_addr().map_err(StartError::System)?;
            info!(%address, "listening");
            let publishing = tokio::spawn(publish(Arc::clone(reception.host())));
            let tasks = tokio::spawn(tasks::keep_running(Arc::clone(reception.host())));
            socket::serve(listener, reception, stop).await;
            publishing.abort();
            // Another host continues an interrupted task once its lease has expired.
            tasks.abort();
            Ok(())
        }),
    }
}

/// A single-threaded runtime.
///
/// # Errors
///
/// [`StartError::System`].
pub fn on_one_thread() -> Result<Runtime, StartError> {
    runtime(&mut Builder::new_current_thread())
}

/// Warns if no mail transport is configured.
pub fn warn_of_mail(config: &Config) {
    match config.mail.delivery {
        MailDelivery::None => warn!(
            "neither PORTCULLIS_MAIL_FROM nor PORTCULLIS_MAILBOX is set: mail stays in the outbox"
        ),
        MailDelivery::Folder(..) | MailDelivery::Ses(..) => {}
    }
}

fn runtime(builder: &mut Builder) -> Result<Runtime, StartError> {
    builder.enable_all().build().map_err(StartError::System)
}

/// Waits for a stop signal.
fn stopped() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Loads the root keys and publishes the signing key at the start, so that an unreachable store is
/// noticed before the first login.
async fn publish(host: Arc<Host>) {
    let mut wait = Duration::from_secs(1);
    loop {
        let Ok(now) = host.clock.read() else { return };
        let Ok(id) = host.random.id() else { return };
        let ready = host.signer(now, &id).await;
        let open = host.root_keys.open(&host.client, now).await;
        if let Err(error) = &ready {
            error!(
                error = %ErrorChain(error),
                setting = setting(error),
                retry_in = wait.as_secs(),
                "the signing key is not ready; /v1 answers 503 until it is"
            );
        }
        if let Err(error) = &open {
            error!(
                error = %ErrorChain(error),
                retry_in = wait.as_secs(),
                "the host's root keys are unavailable; /v1 answers 503 until they are"
            );
        }
        if ready.is_ok() && open.is_ok() {
            return;
        }
        time::sleep(wait).await;
        wait = wait.saturating_mul(2).min(MAX_BACKOFF);
    }
}
