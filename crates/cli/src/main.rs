//! `portcullis`: accounts, sessions, keys, tokens and policies from the operator's terminal.
//!
//! It uses the host's environment, or a file of it (`--env-file`), and the same use cases on the
//! same store. Each change writes an audit entry with the identity of the AWS credentials. Commands
//! without a store (`token inspect`, `policy check`, `completions`) need no environment either.

mod actor;
mod arguments;
mod audit;
mod context;
mod domains;
mod import;
mod keys;
mod limits;
mod output;
mod policy;
mod sessions;
mod settings;
mod token;
mod users;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use crate::arguments::{Arguments, Command};
use crate::context::CliContext;
use crate::output::{CommandOutput, Failure};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(answer) => answer.print(arguments.json),
        Err(failure) => failure.print(arguments.json),
    }
}

fn run(arguments: &Arguments) -> Result<CommandOutput, Failure> {
    match &arguments.command {
        Command::Completions { shell } => {
            let mut script = Vec::new();
            let mut command = Arguments::command();
            clap_complete::generate(*shell, &mut command, "portcullis", &mut script);
            Ok(CommandOutput::text(
                String::from_utf8_lossy(&script).into_owned(),
            ))
        }
        Command::Settings { name, markdown } => settings::run(name.as_deref(), *markdown),
        Command::Policy(command) => policy::run(command),
        Command::Token(command) => token::run(command),
        Command::Users(command) => {
            with_office(arguments, async |cli| users::run(command, cli).await)
        }
        Command::Sessions(command) => {
            with_office(arguments, async |cli| sessions::run(command, cli).await)
        }
        Command::Limits(command) => {
            with_office(arguments, async |cli| limits::run(command, cli).await)
        }
        Command::Domains { domain } => with_office(arguments, async |cli| {
            domains::run(domain.as_deref(), cli).await
        }),
        Command::Audit(command) => {
            with_office(arguments, async |cli| audit::run(command, cli).await)
        }
        Command::Keys(command) => with_office(arguments, async |cli| keys::run(command, cli).await),
    }
}

/// Creates the context and runs `work` in it.
fn with_office(
    arguments: &Arguments,
    work: impl AsyncFnOnce(&CliContext) -> Result<CommandOutput, Failure>,
) -> Result<CommandOutput, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Setting(format!("the async runtime could not start: {error}")))?;
    runtime.block_on(async {
        let cli = CliContext::open(arguments).await?;
        work(&cli).await
    })
}
