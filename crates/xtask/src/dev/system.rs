//! The programs of the local system: how to start each, its health check, and the error if it
//! exits.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::{
    folder::{Folder, Secrets},
    health,
    own_app::OwnApp,
    ports::Ports,
};
use crate::{
    node,
    processes::Running,
    workspace::{Workspace, read},
};

const REGION: &str = "us-east-1";
const TABLE: &str = "Portcullis";
const BLACKLIST: &str = "TokenBlacklist";
/// The secret with the signing key.
const SIGNING_SECRET: &str = "portcullis/signing-key";
/// The audience of tokens, as in the demo policy in `wrangler.toml`.
const AUDIENCE: &str = "https://api.example";
/// The maximum time until a program's first response.
const START: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The number of log lines shown when a program exits.
const LAST_LINES: usize = 20;

pub(super) struct System<'a> {
    workspace: &'a Workspace,
    folder: &'a Folder,
    secrets: &'a Secrets,
    ports: &'a Ports,
    own: &'a OwnApp,
    /// The addresses of the database for host and Worker, and of Secrets Manager for the host.
    database_port: u16,
    secrets_port: u16,
    programs: Vec<Program>,
}

struct Program {
    name: &'static str,
    running: Running,
    log: PathBuf,
}

impl<'a> System<'a> {
    pub(super) fn new(
        workspace: &'a Workspace,
        folder: &'a Folder,
        secrets: &'a Secrets,
        ports: &'a Ports,
        own: &'a OwnApp,
    ) -> Self {
        Self {
            workspace,
            folder,
            secrets,
            ports,
            own,
            database_port: ports.dynamodb_port,
            secrets_port: ports.secrets_port,
            programs: Vec::new(),
        }
    }

    pub(super) fn start_database(&mut self) -> Result<()> {
        let port = self.ports.dynamodb_port;
        let mut engine = self
            .workspace
            .program(self.workspace.binary("portcullis-local"));
        engine.args(["dynamodb", "--listen", &local(port)]);
        engine
            .arg("--data")
            .arg(self.folder.path("data/dynamodb.sqlite"));
        engine.args(["--table", TABLE, "--blacklist-table", BLACKLIST]);
        self.start("dynamodb", &mut engine, || {
            health::status(port, "/") == Some(200)
        })
    }

    /// From here on all clients reach the database and Secrets Manager through chaos.
    pub(super) fn start_chaos(&mut self, seed: u64) -> Result<()> {
        let port = self.ports.chaos_port;
        let mut chaos = self
            .workspace
            .program(self.workspace.binary("portcullis-local"));
        chaos.args(["chaos", "--listen", &local(port)]);
        chaos.args(["--upstream", &local(self.ports.dynamodb_port)]);
        chaos.args(["--secrets", &local(self.ports.secrets_port)]);
        chaos.args(["--seed", &seed.to_string()]);
        self.start("chaos", &mut chaos, || {
            health::status(port, "/chaos") == Some(200)
        })?;
        (self.database_port, self.secrets_port) = (port, port);
        Ok(())
    }

    pub(super) fn start_origin(&mut self) -> Result<()> {
        let port = self.ports.origin_port;
        let mut origin = self
            .workspace
            .program(self.workspace.binary("portcullis-local"));
        origin.args(["origin", "--listen", &local(port)]);
        self.start("origin", &mut origin, || {
            health::status(port, "/") == Some(200)
        })
    }

    pub(super) fn start_mailbox(&mut self) -> Result<()> {
        let port = self.ports.mailbox_port;
        let mut mailbox = self
            .workspace
            .program(self.workspace.binary("portcullis-local"));
        mailbox.args(["mailbox", "--listen", &local(port), "--folder"]);
        mailbox.arg(self.folder.path("data/mailbox"));
        self.start("mailbox", &mut mailbox, || {
            health::status(port, "/mailbox") == Some(200)
        })
    }

    pub(super) fn start_secrets(&mut self) -> Result<()> {
        let port = self.ports.secrets_port;
        let mut secrets = self
            .workspace
            .program(self.workspace.binary("portcullis-local"));
        secrets.args(["secrets", "--listen", &local(port), "--data"]);
        secrets.arg(self.folder.path("data/secrets.json"));
        secrets.args(["--declare", SIGNING_SECRET, "--runtime-listen", &local(0)]);
        self.start("secrets", &mut secrets, || {
            health::status(port, "/") == Some(200)
        })
    }

    /// The function that rotates the signing key, at the Runtime API of the local Secrets Manager.
    pub(super) fn start_rotation(&mut self) -> Result<()> {
        let log = read(&self.folder.path("logs/secrets.log"))?;
        let runtime = log
            .lines()
            .find_map(|line| line.strip_prefix("runtime listens on http://"))
            .context("the log of the local Secrets Manager does not contain the address of the Runtime API")?;
        let mut rotation = self
            .workspace
            .program(self.workspace.binary("portcullis-rotation"));
        forget_settings(&mut rotation);
        rotation.envs(self.host_variables());
        rotation.env_remove("PORTCULLIS_LISTEN");
        rotation.envs([
            ("AWS_LAMBDA_RUNTIME_API", runtime),
            ("AWS_LAMBDA_FUNCTION_NAME", "portcullis-rotation"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
        ]);
        // It listens on no port and logs nothing before its first event.
        self.start("rotation", &mut rotation, || true)
    }

    pub(super) fn start_host(&mut self) -> Result<()> {
        let port = self.ports.host_port;
        let mut host = self
            .workspace
            .program(self.workspace.binary("portcullis-host"));
        forget_settings(&mut host);
        let variables = self.host_variables();
        let lines = variables
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        // For the operator's CLI, which uses the host's settings.
        self.folder.write_variables("host.env", &lines)?;
        host.envs(variables);
        self.start("host", &mut host, || {
            health::status(port, "/health") == Some(200)
        })
    }

    /// The settings of host, rotation function and CLI.
    fn host_variables(&self) -> [(&'static str, String); 18] {
        let port = self.ports.host_port;
        let file = |name: &str| self.folder.path(name).to_string_lossy().into_owned();
        [
            ("PORTCULLIS_LISTEN", local(port)),
            ("PORTCULLIS_ISSUER", issuer(self.ports)),
            // Its clients come through the Worker, and directly.
            ("PORTCULLIS_EDGE_SECRET", self.secrets.edge_secret.clone()),
            (
                "PORTCULLIS_CLIENT_IP_SOURCE",
                "header:x-portcullis-client-ip".to_owned(),
            ),
            ("PORTCULLIS_AUDIENCE", AUDIENCE.to_owned()),
            ("PORTCULLIS_SIGNING_SECRET", SIGNING_SECRET.to_owned()),
            ("PORTCULLIS_SECRETS_ENDPOINT", url(self.secrets_port)),
            // The local Worker is the only reader of the JWK Set, with the default bounds.
            ("PORTCULLIS_EDGE_JWKS_MAX_AGE", "600".to_owned()),
            ("PORTCULLIS_THIRD_PARTY_CACHE", "0".to_owned()),
            ("PORTCULLIS_HOST_SECRET_FILE", file("data/host-secret.json")),
            ("PORTCULLIS_MAILBOX", file("data/mailbox")),
            ("PORTCULLIS_REQUIRE_VERIFIED", "off".to_owned()),
            ("PORTCULLIS_TABLE", TABLE.to_owned()),
            ("PORTCULLIS_BLACKLIST_TABLE", BLACKLIST.to_owned()),
            ("PORTCULLIS_DYNAMODB_ENDPOINT", url(self.database_port)),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", self.secrets.access_key_id.clone()),
            (
                "AWS_SECRET_ACCESS_KEY",
                self.secrets.secret_access_key.clone(),
            ),
        ]
    }

    pub(super) fn start_worker(&mut self) -> Result<()> {
        let port = self.ports.worker_port;
        let demo = url(self.ports.origin_port);
        let issuer = issuer(self.ports);
        let (database, host) = (url(self.database_port), url(self.ports.host_port));
        let mut variables = vec![
            ("AWS_ACCESS_KEY_ID", self.secrets.access_key_id.as_str()),
            ("AWS_SECRET_ACCESS_KEY", &self.secrets.secret_access_key),
            ("AWS_REGION", REGION),
            ("PORTCULLIS_BLACKLIST_TABLE", BLACKLIST),
            ("PORTCULLIS_DYNAMODB_ENDPOINT", &database),
            ("PORTCULLIS_ISSUER", &issuer),
            ("PORTCULLIS_HOST", &host),
            ("PORTCULLIS_HOST_EDGE_SECRET", &self.secrets.edge_secret),
            (
                "PORTCULLIS_ORIGIN",
                self.own.origin.as_ref().unwrap_or(&demo),
            ),
        ];
        if let Some(policy) = &self.own.policy {
            variables.push(("PORTCULLIS_POLICY", policy));
        }
        let variables = self.folder.write_variables("worker.env", &variables)?;
        // The script itself, because `npx` would be an intermediate process that does not forward
        // signals.
        let mut wrangler = node::script(self.workspace, "wrangler/bin/wrangler.js");
        wrangler.args([
            "dev",
            "--local",
            "--ip",
            "127.0.0.1",
            "--port",
            &port.to_string(),
        ]);
        wrangler.args([
            "--inspector-port",
            "0",
            "--show-interactive-dev-session=false",
        ]);
        wrangler.arg("--env-file").arg(variables);
        wrangler
            .arg("--persist-to")
            .arg(self.folder.path("wrangler/state"));
        self.keep_inside(&mut wrangler);
        self.start("worker", &mut wrangler, || {
            health::status(port, "/auth/health") == Some(200)
        })
    }

    /// All traffic stays on loopback, and all files stay in the folder.
    fn keep_inside(&self, wrangler: &mut Command) {
        wrangler
            .env("CI", "1")
            .env("FORCE_COLOR", "0")
            .env("WRANGLER_SEND_METRICS", "false")
            .env("WRANGLER_SEND_ERROR_REPORTS", "false")
            .env("WRANGLER_HIDE_BANNER", "true")
            .env("CLOUDFLARE_CF_FETCH_ENABLED", "false")
            .env("WRANGLER_LOG_PATH", self.folder.path("logs/wrangler"))
            .env(
                "WRANGLER_REGISTRY_PATH",
                self.folder.path("wrangler/registry"),
            )
            .env_remove("CLOUDFLARE_ENV");
    }

    fn start(
        &mut self,
        name: &'static str,
        command: &mut Command,
        is_up: impl Fn() -> bool,
    ) -> Result<()> {
        let log = self.folder.path(&format!("logs/{name}.log"));
        let file =
            File::create(&log).with_context(|| format!("cannot create {}", log.display()))?;
        command.stdout(file.try_clone()?).stderr(file);
        self.programs.push(Program {
            name,
            running: Running::start(command)?,
            log,
        });
        let deadline = Instant::now() + START;
        while !is_up() {
            self.check()?;
            if Instant::now() >= deadline {
                bail!(
                    "{name} does not respond after {} s\n{}",
                    START.as_secs(),
                    self.last_words(name)
                );
            }
            thread::sleep(LOOK_EVERY);
        }
        // The response may come from another program that took the port meanwhile.
        self.check()
    }

    /// Waits while all programs run.
    ///
    /// # Errors
    ///
    /// If a program exits by itself, with the last lines of its log.
    pub(super) fn watch(&mut self) -> Result<()> {
        loop {
            self.check()?;
            thread::sleep(LOOK_EVERY);
        }
    }

    fn check(&mut self) -> Result<()> {
        for program in &mut self.programs {
            if let Some(status) = program.running.ended()? {
                let words = last_lines(&program.log);
                bail!("{} ended with {status}\n{words}", program.name);
            }
        }
        Ok(())
    }

    fn last_words(&self, name: &str) -> String {
        let program = self.programs.iter().find(|program| program.name == name);
        program
            .map(|program| last_lines(&program.log))
            .unwrap_or_default()
    }
}

fn last_lines(log: &Path) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let text = text.unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let last = lines
        .get(lines.len().saturating_sub(LAST_LINES)..)
        .unwrap_or_default()
        .join("\n");
    format!("the last lines of {}:\n{last}", log.display())
}

/// App, login and API have one origin, that of the Worker.
pub(super) fn issuer(ports: &Ports) -> String {
    format!("{}/auth", url(ports.worker_port))
}

/// Removes settings of a real deployment from the environment: a local run must not reach it.
fn forget_settings(command: &mut Command) {
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("AWS_") || text.starts_with("PORTCULLIS_") {
            command.env_remove(&name);
        }
    }
}

fn local(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}
