//! `portcullis-local`: local replacements for the cloud services of a deployment.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use portcullis_local::{
    Engine, LambdaRuntime, LocalSecrets, TableNames,
    chaos::{
        Chaos,
        serve::{self, Upstreams},
    },
    serve_mailbox, serve_origin, serve_secrets,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    time,
};

/// The interval of the TTL sweep.
const SWEEP_EVERY: Duration = Duration::from_secs(30);

#[derive(Parser)]
#[command(about = "Run local replacements for the cloud services of Portcullis")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a DynamoDB engine with the two tables of Portcullis
    Dynamodb(Dynamodb),
    /// Run an origin that echoes its requests
    Origin {
        /// Listen on this address; port 0 selects a free port and prints it
        #[arg(long, default_value = "127.0.0.1:8789")]
        listen: SocketAddr,
    },
    /// Run a proxy in front of DynamoDB and Secrets Manager that injects faults by a seed
    Chaos(Spoilt),
    /// Show the mail in a folder as a page at /mailbox
    Mailbox {
        /// Listen on this address; port 0 selects a free port and prints it
        #[arg(long, default_value = "127.0.0.1:8790")]
        listen: SocketAddr,
        /// Read the host's mail from this folder (PORTCULLIS_MAILBOX)
        #[arg(long, value_name = "FOLDER")]
        folder: PathBuf,
    },
    /// Run a Secrets Manager that rotates with its own function
    Secrets(Secrets),
}

#[derive(Args)]
struct Spoilt {
    /// Listen on this address; port 0 selects a free port and prints it
    #[arg(long, default_value = "127.0.0.1:8001")]
    listen: SocketAddr,
    /// Forward to DynamoDB at this address
    #[arg(long, value_name = "ADDRESS")]
    upstream: SocketAddr,
    /// Forward to Secrets Manager at this address, if its calls also pass the proxy
    #[arg(long, value_name = "ADDRESS")]
    secrets: Option<SocketAddr>,
    /// Select the faults and their order
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Set the milliseconds of a missing response: longer than the clients' timeout
    #[arg(long, value_name = "MILLIS", default_value_t = 3_500)]
    silence: u64,
}

#[derive(Args)]
struct Secrets {
    /// Listen on this address; port 0 selects a free port and prints it
    #[arg(long, default_value = "127.0.0.1:8791")]
    listen: SocketAddr,
    /// Serve the Lambda Runtime API of the rotation function here; without it secrets are not
    /// rotated
    #[arg(long, value_name = "ADDRESS")]
    runtime_listen: Option<SocketAddr>,
    /// Keep the secrets in this file
    #[arg(long, value_name = "FILE", required_unless_present = "memory")]
    data: Option<PathBuf>,
    /// Keep the data only in memory
    #[arg(long, conflicts_with = "data")]
    memory: bool,
    /// Declare a secret; the rotation function creates its first version
    #[arg(long, value_name = "NAME")]
    declare: Vec<String>,
}

#[derive(Args)]
struct Dynamodb {
    /// Listen on this address; port 0 selects a free port and prints it
    #[arg(long, default_value = "127.0.0.1:8000")]
    listen: SocketAddr,
    /// Keep the data in this file
    #[arg(long, value_name = "FILE", required_unless_present = "memory")]
    data: Option<PathBuf>,
    /// Keep the data only in memory
    #[arg(long, conflicts_with = "data")]
    memory: bool,
    /// Delete the file first and start empty
    #[arg(long, conflicts_with = "memory")]
    fresh: bool,
    #[arg(long, default_value = "Portcullis")]
    table: String,
    #[arg(long, default_value = "TokenBlacklist")]
    blacklist_table: String,
}

#[tokio::main]
async fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Dynamodb(options) => dynamodb(options).await,
        Command::Origin { listen } => {
            let listener = bind("origin", listen).await?;
            Ok(serve_origin(listener, ended()?).await?)
        }
        Command::Chaos(options) => {
            let listener = bind("chaos", options.listen).await?;
            let upstreams = Upstreams {
                dynamodb: options.upstream,
                secrets: options.secrets,
            };
            let chaos =
                Chaos::new(options.seed).with_silence(Duration::from_millis(options.silence));
            Ok(serve::serve(listener, upstreams, Arc::new(chaos), ended()?).await?)
        }
        Command::Mailbox { listen, folder } => {
            let listener = bind("mailbox", listen).await?;
            Ok(serve_mailbox(listener, folder, ended()?).await?)
        }
        Command::Secrets(options) => secrets(options).await,
    }
}

async fn dynamodb(options: Dynamodb) -> Result<()> {
    let tables = TableNames {
        main: options.table,
        blacklist: options.blacklist_table,
    };
    let engine = match options.data.as_deref() {
        Some(path) => {
            prepare(path, options.fresh)?;
            let engine = Engine::on_file(path, &tables);
            engine.with_context(|| format!("cannot open {}", path.display()))?
        }
        None => Engine::forgetful(&tables)?,
    };
    let listener = bind("dynamodb", options.listen).await?;
    tokio::spawn(sweep(engine.clone()));
    Ok(engine.serve(listener, ended()?).await?)
}

async fn secrets(options: Secrets) -> Result<()> {
    let secrets = match options.data {
        Some(path) => {
            prepare(&path, false)?;
            let kept = LocalSecrets::on_file(path.clone());
            kept.with_context(|| format!("cannot read {}", path.display()))?
        }
        None => LocalSecrets::forgetful(),
    };
    for name in &options.declare {
        secrets.declare(name)?;
    }
    if let Some(address) = options.runtime_listen {
        let (runtime, listener) = (LambdaRuntime::new(), bind("runtime", address).await?);
        secrets.rotate_by(runtime.rotation_function());
        for name in options.declare {
            let secrets = secrets.clone();
            tokio::spawn(async move { secrets.make_first(&name).await });
        }
        tokio::spawn(runtime.serve(listener, ended()?));
    }
    let listener = bind("secrets", options.listen).await?;
    Ok(serve_secrets(secrets, listener, ended()?).await?)
}

/// Creates the file's folder and, for a fresh start, deletes the file and SQLite's auxiliary files.
fn prepare(path: &Path, fresh: bool) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
    }
    for ending in ["", "-wal", "-shm"].iter().filter(|_| fresh) {
        let mut file = path.as_os_str().to_owned();
        file.push(ending);
        let removed = fs::remove_file(&file);
        if removed
            .as_ref()
            .is_err_and(|fault| fault.kind() != io::ErrorKind::NotFound)
        {
            removed.with_context(|| format!("cannot delete {}", path.display()))?;
        }
    }
    Ok(())
}

async fn bind(name: &str, address: SocketAddr) -> Result<TcpListener> {
    let listener = TcpListener::bind(address).await;
    let listener = listener.with_context(|| format!("cannot listen on {address}"))?;
    println!("{name} listens on http://{}", listener.local_addr()?);
    Ok(listener)
}

async fn sweep(engine: Engine) {
    let mut timer = time::interval(SWEEP_EVERY);
    loop {
        timer.tick().await;
        let engine = engine.clone();
        match tokio::task::spawn_blocking(move || engine.sweep()).await {
            Ok(Ok(_)) => {}
            Ok(Err(fault)) => eprintln!("the TTL sweep failed: {fault}"),
            Err(fault) => eprintln!("the TTL sweep panicked: {fault}"),
        }
    }
}

/// Resolves at Ctrl-C or SIGTERM.
fn ended() -> Result<impl Future<Output = ()> + Send + 'static> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_definition_is_valid() {
        Arguments::command().debug_assert();
        assert!(
            Arguments::try_parse_from(["x", "dynamodb"]).is_err(),
            "name a data file or use memory"
        );
        assert!(Arguments::try_parse_from(["x", "dynamodb", "--memory", "--fresh"]).is_err());
        assert!(Arguments::try_parse_from(["x", "dynamodb", "--memory"]).is_ok());
        assert!(Arguments::try_parse_from(["x", "secrets"]).is_err());
        assert!(Arguments::try_parse_from(["x", "secrets", "--memory"]).is_ok());
    }
}
