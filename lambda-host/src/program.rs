//! The `main` that the three programs share: settings, log, then the program itself.

use std::process::ExitCode;

use portcullis_host::config::{Config, ListenMode};
use portcullis_host::log;
use tracing::error;
use tracing::level_filters::LevelFilter;

use crate::start::StartError;

/// The exit code for a wrong setting.
const BAD_SETTING: u8 = 2;

/// Reads the settings, starts the log and runs `program`.
pub fn main(program: impl FnOnce(Config) -> Result<(), StartError>) -> ExitCode {
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
            return ExitCode::from(BAD_SETTING);
        }
    };
    match program(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!("{error}");
            match error {
                StartError::OnlyOnLambda { .. } => ExitCode::from(BAD_SETTING),
                StartError::System(_)
                | StartError::Listen(..)
                | StartError::Host(_)
                | StartError::Lambda(_) => ExitCode::FAILURE,
            }
        }
    }
}

/// Fails outside Lambda; `instead` names the program to run there.
///
/// # Errors
///
/// [`StartError::OnlyOnLambda`].
pub const fn require_lambda(config: &Config, instead: &'static str) -> Result<(), StartError> {
    match config.entrance {
        ListenMode::Lambda => Ok(()),
        ListenMode::Socket(_) => Err(StartError::OnlyOnLambda { instead }),
    }
}
