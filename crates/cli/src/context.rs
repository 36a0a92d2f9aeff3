//! The context of a command: the host's settings and clients, without its HTTP server.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs;
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

use crate::actor::{Actor, Remark};
use crate::arguments::Arguments;
use crate::output::Failure;

/// The store of an operator command.
pub(crate) type Store<'a> = DynamoStore<'a, HyperTransport>;

/// The dependencies of a command.
#[derive(Debug)]
pub(crate) struct CliContext {
    pub(crate) host: Host,
    pub(crate) call: RequestMeta,
}

impl CliContext {
    /// Reads the settings and identifies the actor; does not read the store yet.
    pub(crate) async fn open(arguments: &Arguments) -> Result<Self, Failure> {
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
        let remark = Remark::read(arguments.actor.as_deref())?;
        let sts = config.sts.clone();
        let host = Host::new(config, HostOptions::default()).map_err(Failure::unavailable)?;
        let now = host.clock.read().map_err(Failure::unavailable)?;
        let actor = Actor::identify(&host.client, sts.as_ref(), remark, now).await?;
        let request_id = host.random.id().map_err(Failure::unavailable)?;
        Ok(Self {
            host,
            call: RequestMeta {
                now,
                request_id,
                client_address: actor.to_string(),
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
