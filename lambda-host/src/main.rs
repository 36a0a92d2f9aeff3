//! `portcullis-host`: serves a socket or the Lambda Runtime API.

use std::process::ExitCode;

use portcullis_lambda_host::{program, start};

fn main() -> ExitCode {
    program::main(start::run)
}
