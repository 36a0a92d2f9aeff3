//! The ports, with a clear error if one is in use.

use std::{collections::BTreeMap, net::TcpListener};

use anyhow::{Result, bail};
use clap::{Args, value_parser};

#[derive(Args, Clone, Copy)]
pub(super) struct Ports {
    /// Set the port of the Worker
    #[arg(
        long,
        value_name = "PORT",
        env = "PORTCULLIS_WORKER_PORT",
        default_value = "8787"
    )]
    #[arg(value_parser = value_parser!(u16).range(1..))]
    pub(super) worker_port: u16,
    /// Set the port of the host
    #[arg(
        long,
        value_name = "PORT",
        env = "PORTCULLIS_HOST_PORT",
        default_value = "8788"
    )]
    #[arg(value_parser = value_parser!(u16).range(1..))]
    pub(super) host_port: u16,
    /// Set the port of the database
    #[arg(
        long,
        value_name = "PORT",
        env = "PORTCULLIS_DYNAMODB_PORT",
        default_value = "8000"
    )]
    #[arg(value_parser = value_parser!(u16).range(1..))]
    pub(super) dynamodb_port: u16,
    /// Set the port of the demo origin
    #[arg(
        long,
        value_name = "PORT",
        env = "PORTCULLIS_ORIGIN_PORT",
        default_value = "8789"
    )]
    #[arg(value_parser = value_parser!(u16).range(1..))]
    pub(super) origin_port: u16,
    /// Set the port of the mailbox
    #[arg(
        long,
        value_name = "PORT",
        env = "PORTCULLIS_MAILBOX_PORT",
        default_value = "8790"
    )]
    #[arg(value_parser = value_parser!(u16).range(1..))]
    pub(super) mailbox_port: u16,
    /// Set the port of the local Secrets Manager
    #[arg(
        long,
        value_name = "PORT",
        env = "PORTCULLIS_SECRETS_PORT",
        default_value = "8791"
    )]
    #[arg(value_parser = value_parser!(u16).range(1..))]
    pub(super) secrets_port: u16,
    /// Set the port of the chaos proxy between the local services and their clients
    #[arg(
        long,
        value_name = "PORT",
        env = "PORTCULLIS_CHAOS_PORT",
        default_value = "8001"
    )]
    #[arg(value_parser = value_parser!(u16).range(1..))]
    pub(super) chaos_port: u16,
}

impl Ports {
    /// Checks that each port is free, before minutes of building; the chaos port only if chaos is
    /// enabled.
    pub(super) fn check(&self, with_chaos: bool) -> Result<()> {
        let mut seen = BTreeMap::new();
        let mut faults = Vec::new();
        let chaos = with_chaos.then_some(("chaos", self.chaos_port));
        for (name, port) in self.named().into_iter().chain(chaos) {
            if let Some(other) = seen.insert(port, name) {
                faults.push(format!(
                    "port {port} is assigned to both {other} and {name}"
                ));
            } else if TcpListener::bind(("127.0.0.1", port)).is_err() {
                let variable = name.to_uppercase();
                faults.push(format!(
                    "port {port} is taken: stop the program that listens there, or choose another port with --{name}-port \
                     or PORTCULLIS_{variable}_PORT"
                ));
            }
        }
        if !faults.is_empty() {
            bail!("{}", faults.join("\nerror: "));
        }
        Ok(())
    }

    fn named(&self) -> [(&'static str, u16); 6] {
        [
            ("worker", self.worker_port),
            ("host", self.host_port),
            ("dynamodb", self.dynamodb_port),
            ("origin", self.origin_port),
            ("mailbox", self.mailbox_port),
            ("secrets", self.secrets_port),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ports that were free a moment ago.
    fn free() -> Ports {
        let listeners = [0; 7].map(|port| TcpListener::bind(("127.0.0.1", port)).unwrap());
        let [
            worker_port,
            host_port,
            dynamodb_port,
            origin_port,
            mailbox_port,
            secrets_port,
            chaos_port,
        ] = listeners
            .each_ref()
            .map(|listener| listener.local_addr().unwrap().port());
        Ports {
            worker_port,
            host_port,
            dynamodb_port,
            origin_port,
            mailbox_port,
            secrets_port,
            chaos_port,
        }
    }

    #[test]
    fn a_port_in_use_is_reported_with_its_flag_and_variable() {
        let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let fault = Ports {
            host_port: port,
            ..free()
        }
        .check(false)
        .unwrap_err()
        .to_string();
        for part in [
            port.to_string().as_str(),
            "--host-port",
            "PORTCULLIS_HOST_PORT",
        ] {
            assert!(fault.contains(part), "{part} is not in: {fault}");
        }
    }

    #[test]
    fn two_programs_cannot_share_a_port() {
        let ports = free();
        let fault = Ports {
            origin_port: ports.worker_port,
            ..ports
        }
        .check(false)
        .unwrap_err();
        assert!(
            fault.to_string().contains("both worker and origin"),
            "{fault}"
        );
    }

    #[test]
    fn the_chaos_port_is_checked_only_with_chaos() {
        let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let ports = Ports {
            chaos_port: taken.local_addr().unwrap().port(),
            ..free()
        };
        ports.check(false).unwrap();
        let fault = ports.check(true).unwrap_err().to_string();
        assert!(fault.contains("PORTCULLIS_CHAOS_PORT"), "{fault}");
    }
}
