//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

/// Runs a Portcullis from the terminal
///
/// Exit codes: 0 done, 1 a negative finding (no such account, a refused token, a bad policy),
/// 2 a wrong command line or environment, 3 the store or a key is not to be had.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version)]
pub(crate) struct Arguments {
    /// A file of NAME=value lines to take the host's settings from, before the environment
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) env_file: Option<PathBuf>,
    /// Who does it, for the audit trail: the system's user by default
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) actor: Option<String>,
    /// Print one JSON value instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Accounts
    #[command(subcommand)]
    Users(Users),
    /// Sessions
    #[command(subcommand)]
    Sessions(Sessions),
    /// How many accounts there are by e-mail domain
    Domains {
        /// Only this domain: reads its rows alone, not the whole table
        #[arg(long)]
        domain: Option<String>,
    },
    /// The audit trail
    #[command(subcommand)]
    Audit(Audit),
    /// The key document
    #[command(subcommand)]
    Keys(Keys),
    /// Access tokens
    #[command(subcommand)]
    Token(Token),
    /// Policies
    #[command(subcommand)]
    Policy(Policy),
    /// List every setting, or explain one
    Settings {
        /// The name of one variable
        name: Option<String>,
        /// Print the tables of docs/reference/configuration.md
        #[arg(long, conflicts_with = "name")]
        markdown: bool,
    },
    /// The completion script of a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Users {
    /// What is known of an account
    Show(User),
    /// Close an account: its sessions end, nobody logs in to it
    Disable(User),
    /// Open a closed account again
    Enable(User),
    /// End every session of an account
    Logout(User),
    /// Bring accounts from another system, with the hashes they had there
    Import {
        /// One JSON object a line: email, password_hash and, if it was verified, verified_at
        file: PathBuf,
    },
    /// Remove an account and all that stands beside it
    Delete {
        #[command(flatten)]
        user: User,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Args, Debug)]
pub(crate) struct User {
    /// Its address or its user id
    #[arg(value_name = "EMAIL|ID", allow_hyphen_values = true)]
    pub(crate) user: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Print the lines of some days
    List {
        #[command(flatten)]
        days: Days,
        /// Only about this user
        #[arg(long, value_name = "ID", allow_hyphen_values = true)]
        user: Option<String>,
        /// Only of this action: login, refresh, ...
        #[arg(long)]
        action: Option<String>,
        /// Only with this outcome: success, wrong_password, ...
        #[arg(long)]
        outcome: Option<String>,
        /// Only from this client address
        #[arg(long)]
        address: Option<String>,
        /// Only for this request
        #[arg(long, value_name = "ID", allow_hyphen_values = true)]
        request: Option<String>,
        /// Only about this session
        #[arg(long, value_name = "ID", allow_hyphen_values = true)]
        session: Option<String>,
    },
    /// Look for lines that were altered, removed or added
    Verify(Days),
    /// Seal a closed day, where no host has done so
    Seal {
        /// The UTC day, 2026-11-23
        #[arg(long)]
        day: String,
    },
}

/// UTC days, both included.
#[derive(Args, Debug)]
pub(crate) struct Days {
    /// The first day, 2026-11-23; today by default
    #[arg(long, value_name = "DAY")]
    pub(crate) from: Option<String>,
    /// The last day; the first one by default
    #[arg(long, value_name = "DAY")]
    pub(crate) to: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Sessions {
    /// The sessions of an account that go on, the newest first
    List(User),
    /// End one session
    End {
        /// Its id (`sid`)
        #[arg(allow_hyphen_values = true)]
        session: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Every published key, and from when to when it is good
    Show,
    /// Make and publish the next signing key, or bring a rotation that was cut off to its end
    Rotate,
    /// Call a key back at once: its tokens are refused at every edge within the staleness bound
    Revoke {
        /// The key's name (`kid`), as `keys show` prints it
        #[arg(value_name = "KID", allow_hyphen_values = true)]
        key: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Decode a token and explain it claim by claim
    Inspect(Inspect),
}

#[derive(Args, Debug)]
pub(crate) struct Inspect {
    /// The token, or - to read it from standard input, where no process list shows it
    pub(crate) token: String,
    /// Judge it by this policy
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// What $PORTCULLIS_ISSUER stands for in the policy
    #[arg(long, value_name = "URL")]
    pub(crate) issuer: Option<String>,
    /// Check its signature by this JWK Set, key document or single JWK
    #[arg(long, value_name = "FILE")]
    pub(crate) keys: Option<PathBuf>,
    /// Judge it as of this second since 1970, instead of now
    #[arg(long, value_name = "SECONDS")]
    pub(crate) at: Option<u64>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Read a policy and say what it asks of whom
    Check {
        /// The policy's JSON
        file: PathBuf,
        /// What $PORTCULLIS_ISSUER stands for in it
        #[arg(long, value_name = "URL")]
        issuer: Option<String>,
    },
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    /// One id in 64 begins so: they are base64url.
    #[test]
    fn an_id_may_begin_with_a_hyphen() {
        for line in [
            "sessions end -GAcQ2sd_xWzYh81xQ0aLw",
            "sessions list -hAcQ2sd_xWzYh81xQ0aLw",
            "users delete -GAcQ2sd_xWzYh81xQ0aLw --yes",
            "users delete --yes --GcQ2sd_xWzYh81xQ0aLw",
            "keys revoke -GAcQ2sd_xWzYh81xQ0aLw",
            "audit list --user -GAcQ2sd_xWzYh81xQ0aLw --session -VA --request --GA",
        ] {
            let line = ["portcullis"].into_iter().chain(line.split(' '));
            let read = Arguments::try_parse_from(line);
            assert!(read.is_ok(), "{read:?}");
        }
    }
}
