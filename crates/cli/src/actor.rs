//! The actor of an operator's command, as the audit trail records it:
//! `operator:<identity>;<remark>`.
//!
//! The identity belongs to the AWS credentials with which the command writes: the ARN that STS
//! reports, else the access key id. The remark is a name that the operator chooses: `--actor`, else
//! the system user.

use core::fmt;
use core::time::Duration;
use std::env;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;

use portcullis_aws::endpoint::Endpoint;
use portcullis_aws::sts;
use portcullis_core::time::UnixTime;
use portcullis_host::transport::AwsClient;
use tokio::time;

use crate::output::Failure;

/// The maximum length of a remark, in bytes.
const MAX_REMARK_BYTES: usize = 64;

/// The maximum length of an access key id ([IAM `AccessKey`]).
///
/// [IAM `AccessKey`]: https://docs.aws.amazon.com/IAM/latest/APIReference/API_AccessKey.html
const MAX_KEY_ID_BYTES: usize = 128;

/// The time limit of the call to STS, from the connection to the last byte.
const STS_TIMEOUT: Duration = Duration::from_secs(3);

/// The actor of a command.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Actor {
    identity: String,
    remark: Remark,
}

/// A name that the operator chooses: one word of printable ASCII, without the separator `;`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Remark(String);

impl Actor {
    /// The identity of the credentials of `client`, with `remark`. Asks STS at `endpoint`, if there
    /// is one; if STS does not identify them, the access key id does.
    pub(crate) async fn identify(
        client: &AwsClient,
        endpoint: Option<&Endpoint>,
        remark: Remark,
        now: UnixTime,
    ) -> Result<Self, Failure> {
        if let Some(endpoint) = endpoint {
            let asked = time::timeout(STS_TIMEOUT, sts::caller_identity(client, endpoint, now));
            let cause = match asked.await {
                Ok(Ok(arn)) => {
                    return Ok(Self {
                        identity: arn.to_string(),
                        remark,
                    });
                }
                Ok(Err(error)) => error.to_string(),
                Err(_elapsed) => "STS did not respond in 3 s".to_owned(),
            };
            // If standard error is closed, the entry itself still shows the identity.
            let _ = writeln!(
                io::stderr(),
                "warning: {cause}; audit entries record the access key id"
            );
        }
        let credentials = client.credentials().current();
        Self::of_key(credentials.access_key_id(), remark)
    }

    fn of_key(id: &str, remark: Remark) -> Result<Self, Failure> {
        if !is_word(id, MAX_KEY_ID_BYTES) {
            return Err(Failure::Setting(
                "AWS_ACCESS_KEY_ID is no access key id: at most 128 printable ASCII characters, \
                 without blanks and `;`"
                    .to_owned(),
            ));
        }
        Ok(Self {
            identity: id.to_owned(),
            remark,
        })
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "operator:{};{}", self.identity, self.remark.0)
    }
}

impl Remark {
    /// The name `given`, else the system user.
    pub(crate) fn read(given: Option<&str>) -> Result<Self, Failure> {
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
        if is_word(&name, MAX_REMARK_BYTES) {
            Ok(Self(name))
        } else {
            Err(Failure::Setting(
                "an actor is one word of at most 64 printable ASCII characters, without `;`"
                    .to_owned(),
            ))
        }
    }
}

/// SECURITY: the part after the last `;` is the remark, and neither part contains white space. So a
/// remark cannot look like the identity, and no part can look like another entry.
fn is_word(text: &str, max_bytes: usize) -> bool {
    (1..=max_bytes).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b';')
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

    #[test]
    fn a_remark_is_a_bounded_printable_word_and_cannot_forge_an_identity() {
        for name in ["grace", "uid:7", "ann@example.com", &"a".repeat(64)] {
            assert_eq!(Remark::read(Some(name)).expect("good").0, name);
        }
        for name in [
            "",
            "two words",
            "a\nb",
            "\u{fc}",
            "AKID;grace",
            &"a".repeat(65),
        ] {
            assert!(Remark::read(Some(name)).is_err(), "{name:?}");
        }
    }

    #[test]
    fn an_access_key_id_identifies_the_actor_unless_it_could_forge_a_remark() {
        let remark = || Remark::read(Some("grace")).expect("good");
        let actor = Actor::of_key("AKIDEXAMPLE", remark()).expect("good");
        assert_eq!(actor.to_string(), "operator:AKIDEXAMPLE;grace");
        assert!(Actor::of_key(&"A".repeat(128), remark()).is_ok());
        for id in ["", "AKID;ann", "AKID EXAMPLE", &"A".repeat(129)] {
            assert!(Actor::of_key(id, remark()).is_err(), "{id:?}");
        }
    }
}
