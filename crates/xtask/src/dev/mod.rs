//! `cargo xtask dev`: the whole system on loopback, until Ctrl-C.
//!
//! Seven programs: the database engine, the demo origin, the mailbox and Secrets Manager (`crates/local`), the host
//! and the function that rotates its key (`lambda-host`), and the Worker in `wrangler dev`. They keep what they write in one folder, which a test names for itself.

mod folder;
mod health;
mod ports;
mod session;
mod system;

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use self::{folder::Folder, ports::Ports, system::System};
use crate::{build, setup, step::step, test, workspace::Workspace};

#[derive(Args)]
pub(crate) struct Options {
    #[command(flatten)]
    ports: Ports,
    /// Start with an empty database and new keys
    #[arg(long)]
    fresh: bool,
    /// Let calls of the database and of Secrets Manager go wrong, as this seed says (1 where none is named)
    #[arg(
        long,
        value_name = "SEED",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "1"
    )]
    chaos: Option<u64>,
    /// Where the database, the keys and the logs are kept
    #[arg(long, env = "PORTCULLIS_DEV_FOLDER", default_value = "target/dev")]
    folder: PathBuf,
}

/// Builds, starts and watches it all; comes back only with an error, since a signal ends the program itself.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    options.ports.check(options.chaos.is_some())?;
    let folder = Folder::open(&workspace.path(&options.folder), options.fresh)?;
    setup::run(workspace)?;
    test::local_programs(workspace)?;
    build::worker(workspace)?;
    let secrets = folder.secrets()?;
    let mut system = System::new(workspace, &folder, &secrets, &options.ports);
    step("start the database", || system.start_database())?;
    if let Some(seed) = options.chaos {
        step("start the chaos", || system.start_chaos(seed))?;
    }
    step("start the origin", || system.start_origin())?;
    step("start the mailbox", || system.start_mailbox())?;
    step("start the secrets", || system.start_secrets())?;
    step("start the rotation", || system.start_rotation())?;
    step("start the host", || system.start_host())?;
    step("start the Worker", || system.start_worker())?;
    let terminal = workspace.binary("portcullis");
    println!(
        "{}",
        session::text(&options.ports, &options.folder, &terminal)
    );
    if let Some(seed) = options.chaos {
        println!("{}", session::chaos(options.ports.chaos_port, seed));
    }
    system.watch()
}
