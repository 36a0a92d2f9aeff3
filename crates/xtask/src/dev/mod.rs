//! `cargo xtask dev`: the whole system on loopback, until Ctrl-C.
//!
//! Seven programs: the database engine, the demo origin, the mailbox and Secrets Manager
//! (`crates/local`), the host and the function that rotates its key (`lambda-host`), and the Worker
//! in `wrangler dev`. They store their data in one folder; each test uses its own.

mod folder;
mod health;
mod own_app;
mod ports;
mod session;
mod system;

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use self::{folder::Folder, own_app::OwnApp, ports::Ports, system::System};
use crate::{build, setup, step::step, test, workspace::Workspace};

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    ports: Ports,
    /// Start with an empty database and new keys
    #[arg(long)]
    fresh: bool,
    /// Put the Worker before this app of yours, not before the demo origin
    #[arg(long, value_name = "URL")]
    origin: Option<String>,
    /// Use this policy (JSON or .toml), not the one in wrangler.toml
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Inject faults into calls of the database and Secrets Manager with this seed (default 1)
    #[arg(
        long,
        value_name = "SEED",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "1"
    )]
    chaos: Option<u64>,
    /// Keep the database, the keys and the logs in this folder
    #[arg(long, env = "PORTCULLIS_DEV_FOLDER", default_value = "target/dev")]
    folder: PathBuf,
}

/// Builds, starts and watches all programs. Returns only with an error, because a signal ends the
/// process directly.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    options.ports.check(options.chaos.is_some())?;
    let mut own = OwnApp::at(options.origin.as_deref())?;
    let folder = Folder::open(&workspace.path(&options.folder), options.fresh)?;
    setup::run(workspace)?;
    test::local_programs(workspace)?;
    if let Some(file) = &options.policy {
        let issuer = system::issuer(&options.ports);
        step("check the policy", || {
            own.build_policy(workspace, file, &issuer)
        })?;
    }
    build::worker(workspace)?;
    let secrets = folder.secrets()?;
    let mut system = System::new(workspace, &folder, &secrets, &options.ports, &own);
    step("start the database", || system.start_database())?;
    if let Some(seed) = options.chaos {
        step("start the chaos proxy", || system.start_chaos(seed))?;
    }
    if own.origin.is_none() {
        step("start the origin", || system.start_origin())?;
    }
    step("start the mailbox", || system.start_mailbox())?;
    step("start Secrets Manager", || system.start_secrets())?;
    step("start the rotation function", || system.start_rotation())?;
    step("start the host", || system.start_host())?;
    step("start the Worker", || system.start_worker())?;
    let terminal = workspace.binary("portcullis");
    println!(
        "{}",
        session::text(&options.ports, &options.folder, &terminal, &own)
    );
    if let Some(seed) = options.chaos {
        println!("{}", session::chaos(options.ports.chaos_port, seed));
    }
    system.watch()
}
