//! `portcullis-host`: reads the environment, then serves a socket or the Lambda Runtime API.

use std::process::ExitCode;

use portcullis_lambda_host::config::Config;
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
    let ended = match config {
        Ok(config) => start::run(config),
        Err(errors) => {
            for wrong in errors.iter() {
                error!(variable = wrong.variable, "{wrong}");
            }
            return ExitCode::from(2);
        }
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!("{error}");
            ExitCode::FAILURE
        }
    }
}
