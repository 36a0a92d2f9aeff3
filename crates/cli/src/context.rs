//! The context of a command: the host's settings and clients, without its HTTP server.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use portcullis_aws::dynamodb::store::DynamoStore;
use portcullis_core::time::UnixTime;
use portcullis_host::clock::RequestClock;
use portcullis_host::config::Config;
use portcullis_host::host::{Host, HostOptions};
use portcullis_host::random::SystemRandom;
use portcullis_host::transport::HyperTransport;
use portcullis_service::context::ServiceContext;
use portcullis_service::ports::{RequestMeta, SecureRandom as _};

use crate::arguments::Arguments;
use crate::output::Failure;

/// The maximum length of an operator's name, in bytes.
const MAX_ACTOR_BYTES: usize = 64;

/// The store of an operator command.
pub(crate) type Store<'a> = DynamoStore<'a, HyperTransport>;

/// The dependencies of a command.
#[derive(Debug)]
pub(crate) struct CliContext {
    pub(crate) host: Host,
    pub(crate) call: RequestMeta,
}

impl CliContext {
    /// Reads the settings; does not read the store yet.
    pub(crate) fn open(arguments: &Arguments) -> Result<Self, Failure> {
        let file = match &arguments.env_file {
            Some(path) => read_variables(path)?,
            None => BTreeMap::new(),
        };
        let config = Config::read(|name| match name {
            // The CLI is no Lambda and listens on no port.
            "AWS_LAMBDA_RUNTIME_API" => None,
            "PORTCULLIS_LISTEN" => Some(OsString::from("127.0.0.1:0")),
            _ => file
                .get(name)
                .map(OsString::from)
                .or_else(|| env::var_os(name)),
        });
        let config = config.map_err(|errors| {
            let all: Vec<_> = errors.iter().map(ToString::to_string).collect();
            Failure::Setting(all.join("\nerror: "))
        })?;
        let actor = actor(arguments.actor.as_deref())?;
        let host = Host::new(config, HostOptions::default()).map_err(Failure::unavailable)?;
        let now = host.clock.read().map_err(Failure::unavailable)?;
        let request_id = host.random.id().map_err(Failure::unavailable)?;
        Ok(Self {
            host,
            call: RequestMeta {
                now,
                request_id,
                client_address: format!("operator:{actor}"),
            },
        })
    }

    /// The service context of this command on `store`.
    pub(crate) async fn ctx<'a>(
        &'a self,
        store: &'a Store<'a>,
    ) -> Result<ServiceContext<'a, Store<'a>, SystemRandom>, Failure> {
        self.means_of(store, &self.call).await
    }

    /// The service context of one of many calls.
    pub(crate) async fn means_of<'a>(
        &'a self,
        store: &'a Store<'a>,
        call: &'a RequestMeta,
    ) -> Result<ServiceContext<'a, Store<'a>, SystemRandom>, Failure> {
        let root_keys = self.host.root_keys.open(&self.host.client, call.now).await;
        Ok(ServiceContext {
            store,
            random: &self.host.random,
            root_keys: root_keys.map_err(Failure::unavailable)?,
            settings: &self.host.settings,
            call,
        })
    }

    /// The store of this command.
    pub(crate) const fn store(&self) -> Store<'_> {
        self.host.store(self.now())
    }

    /// The clock of this command.
    pub(crate) fn watch(&self) -> RequestClock<'_> {
        RequestClock::new(self.host.clock.as_ref(), self.call.now)
    }

    /// The second at which this command started.
    pub(crate) const fn now(&self) -> UnixTime {
        self.call.now
    }
}

fn read_variables(path: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::Setting(format!("{}: {error}", path.display())))?;
    let lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut variables = BTreeMap::new();
    for line in lines {
        let (name, value) = line.split_once('=').ok_or_else(|| {
            Failure::Setting(format!(
                "{}: each line is NAME=value or begins with #",
                path.display()
            ))
        })?;
        variables.insert(name.trim().to_owned(), value.trim().to_owned());
    }
    Ok(variables)
}

/// The name of the user who logged in on this machine, else of the user who runs this program:
/// `root` in a service or a container without `USER`.
fn account_name() -> Option<String> {
    let audited = fs::read_to_string("/proc/self/loginuid").ok();
    let audited = audited.and_then(|id| id.trim().parse().ok());
    let running = || fs::metadata("/proc/self").map(|process| process.uid()).ok();
    // The kernel's number for a process without a login.
    let id = audited.filter(|id| *id != u32::MAX).or_else(running)?;
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    Some(name_of(id, &users).unwrap_or_else(|| format!("uid:{id}")))
}

/// The name of the user `id` in the format of `/etc/passwd`.
fn name_of(id: u32, users: &str) -> Option<String> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(id)).then(|| name.to_owned())
    })
}

/// The operator's name: printable, short, and safe in a one-line log entry.
fn actor(given: Option<&str>) -> Result<String, Failure> {
    let system = || {
        ["SUDO_USER", "USER", "LOGNAME"]
            .into_iter()
            .filter_map(env::var_os)
            .find_map(|name| name.into_string().ok())
            .filter(|name| !name.is_empty())
    };
    let name = given
        .map(str::to_owned)
        .or_else(system)
        .or_else(account_name);
    let name = name.unwrap_or_else(|| "unknown".to_owned());
    let fits = name.len() <= MAX_ACTOR_BYTES && name.bytes().all(|byte| byte.is_ascii_graphic());
    if fits && !name.is_empty() {
        Ok(name)
    } else {
        Err(Failure::Setting(
            "an actor is one word of at most 64 printable ASCII characters".to_owned(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_without_an_environment_has_the_name_of_the_system() {
        let users = "root:x:0:0:root:/root:/bin/sh\nbroken\nann:x:1000:1000::/home/ann:/bin/sh\n";
        assert_eq!(name_of(0, users).as_deref(), Some("root"));
        assert_eq!(name_of(1_000, users).as_deref(), Some("ann"));
        assert_eq!(name_of(1, users), None);
        assert!(account_name().is_some_and(|name| !name.is_empty()));
    }
}
