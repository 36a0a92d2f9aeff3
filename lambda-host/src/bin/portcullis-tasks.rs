//! `portcullis-tasks`: does what is due, at every event that Lambda sends, whatever it is: a
//! schedule's, or the table's stream. A host on a socket needs none of this.

use std::process::ExitCode;
use std::sync::Arc;

use lambda_runtime::{LambdaEvent, service_fn};
use portcullis_lambda_host::config::{Config, ListenMode};
use portcullis_lambda_host::host::{Host, HostOptions};
use portcullis_lambda_host::problem::Problem;
use portcullis_lambda_host::{log, start, tasks};
use serde::de::IgnoredAny;
use tracing::error;
use tracing::level_filters::LevelFilter;

fn main() -> ExitCode {
    let config = Config::from_env();
    let level = config
        .as_ref()
        .map_or(LevelFilter::INFO, |config| config.log);
    if log::init(level).is_err() {
        return ExitCode::FAILURE;
    }
    let config = match config {
        Ok(config) => config,
        Err(errors) => {
            for wrong in errors.iter() {
                error!(variable = wrong.variable, "{wrong}");
            }
            return ExitCode::from(2);
        }
    };
    match config.entrance {
        ListenMode::Lambda => {}
        ListenMode::Socket(_) => {
            error!("portcullis-tasks runs on Lambda; a host on a socket does its tasks itself");
            return ExitCode::from(2);
        }
    }
    match serve(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(config: Config) -> Result<(), start::StartError> {
    start::warn_of_mail(&config);
    let host = Arc::new(Host::new(config, HostOptions::default())?);
    let handler = service_fn(async |_: LambdaEvent<IgnoredAny>| {
        // The log has said why.
        tasks::run_and_flush(&host).await.map_err(Problem::code)
    });
    start::on_one_thread()?
        .block_on(lambda_runtime::run(handler))
        .map_err(start::StartError::Lambda)
}
