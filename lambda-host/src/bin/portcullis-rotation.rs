//! `portcullis-rotation`: the function that Secrets Manager calls for each step of a rotation.

use std::process::ExitCode;
use std::sync::Arc;

use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use portcullis_host::config::Config;
use portcullis_host::error_chain::ErrorChain;
use portcullis_host::host::{Host, HostOptions};
use portcullis_host::rotation::{self, RotationEvent, RotationFunctionError};
use portcullis_lambda_host::program::{self, require_lambda};
use portcullis_lambda_host::start::{self, StartError};

fn main() -> ExitCode {
    program::main(serve)
}

fn serve(config: Config) -> Result<(), StartError> {
    require_lambda(
        &config,
        "portcullis-rotation runs on Lambda; to rotate manually, run `portcullis keys rotate`",
    )?;
    let host = Arc::new(Host::new(config, HostOptions::default())?);
    let handler = service_fn(async |event: LambdaEvent<RotationEvent>| {
        rotation::rotate(&host, &event.payload)
            .await
            .map_err(diagnostic)
    });
    start::on_one_thread()?
        .block_on(lambda_runtime::run(handler))
        .map_err(StartError::Lambda)
}

/// The function's error for Secrets Manager: the reason, never a value.
fn diagnostic(error: RotationFunctionError) -> Diagnostic {
    Diagnostic {
        error_type: error.code().to_owned(),
        error_message: ErrorChain(&error).to_string(),
    }
}
