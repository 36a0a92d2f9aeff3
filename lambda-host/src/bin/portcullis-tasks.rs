//! `portcullis-tasks`: runs the due tasks at every event that Lambda sends, whatever the event is: a schedule's, or
//! the table's stream. A host on a socket runs its tasks itself.

use std::process::ExitCode;
use std::sync::Arc;

use lambda_runtime::{LambdaEvent, service_fn};
use portcullis_host::config::Config;
use portcullis_host::host::{Host, HostOptions};
use portcullis_host::tasks;
use portcullis_lambda_host::problem::Problem;
use portcullis_lambda_host::program::{self, require_lambda};
use portcullis_lambda_host::start::{self, StartError};
use serde::de::IgnoredAny;

fn main() -> ExitCode {
    program::main(serve)
}

fn serve(config: Config) -> Result<(), StartError> {
    require_lambda(
        &config,
        "portcullis-tasks runs on Lambda; a host on a socket runs its tasks itself",
    )?;
    start::warn_of_mail(&config);
    let host = Arc::new(Host::new(config, HostOptions::default())?);
    let handler = service_fn(async |_: LambdaEvent<IgnoredAny>| {
        // The tasks have logged the failure with its sources.
        let report = tasks::run_and_flush(&host).await;
        report.map_err(|failure| Problem::from(&failure).code())
    });
    start::on_one_thread()?
        .block_on(lambda_runtime::run(handler))
        .map_err(StartError::Lambda)
}
