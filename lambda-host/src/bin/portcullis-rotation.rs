//! `portcullis-rotation`: the function that Secrets Manager calls for each step of a rotation.

use std::process::ExitCode;
use std::sync::Arc;

use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use portcullis_lambda_host::config::{Config, ListenMode};
use portcullis_lambda_host::host::{Host, HostOptions};
use portcullis_lambda_host::rotation::{self, RotationEvent};
use portcullis_lambda_host::{log, start};
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
            error!("portcullis-rotation runs on Lambda; by hand it is `portcullis keys rotate`");
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
    let host = Arc::new(Host::new(config, HostOptions::default())?);
    let handler = service_fn(async |event: LambdaEvent<RotationEvent>| {
        rotation::rotate(&host, &event.payload)
            .await
            .map_err(Diagnostic::from)
    });
    start::on_one_thread()?
        .block_on(lambda_runtime::run(handler))
        .map_err(start::StartError::Lambda)
}
