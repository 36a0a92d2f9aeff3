//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

/// Operate Portcullis from the terminal
///
/// Exit codes: 0 success, 1 negative result (no such account, rejected token, invalid policy), 2
/// invalid command line or environment, 3 store or key unavailable.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version)]
pub(crate) struct Arguments {
    /// Read the host's settings from a file of NAME=value lines before the environment
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) env_file: Option<PathBuf>,
    /// Set the remark behind the AWS identity in the audit trail; default: the system user
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
    /// Manage accounts
    #[command(subcommand)]
    Users(Users),
    /// Manage sessions
    #[command(subcommand)]
    Sessions(Sessions),
    /// Show and clear the counts of rate limits
    #[command(subcommand)]
    Limits(Limits),
    /// Count the accounts of each e-mail domain
    Domains {
        /// Count only this domain: read its rows instead of the whole table
        #[arg(long)]
        domain: Option<String>,
    },
    /// Read, verify and seal the audit trail
    #[command(subcommand)]
    Audit(Audit),
    /// Manage the key document
    #[command(subcommand)]
    Keys(Keys),
    /// Inspect access tokens
    #[command(subcommand)]
    Token(Token),
    /// Check policies
    #[command(subcommand)]
    Policy(Policy),
    /// List every setting, or explain one
    Settings {
        /// Explain only this variable
        name: Option<String>,
        /// Print the tables of docs/reference/configuration.md
        #[arg(long, conflicts_with = "name")]
        markdown: bool,
    },
    /// Print the completion script of a shell
    Completions {
        /// Select the shell
        shell: Shell,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Users {
    /// Show an account
    Show(User),
    /// Disable an account: revoke its sessions and reject new logins
    Disable(User),
    /// Enable a disabled account
    Enable(User),
    /// Revoke every session of an account
    Logout(User),
    /// Remove the second factor and the recovery codes of an account
    RemoveFactor(User),
    /// List accounts; reads the whole table
    List(AccountFilter),
    /// Create an account and invite its owner, who sets the password
    Create {
        /// Pass the e-mail address of the owner
        #[arg(allow_hyphen_values = true)]
        email: String,
        /// Send the owner a link to set the password
        #[arg(long, required = true)]
        invite: bool,
        #[command(flatten)]
        names: PermissionNames,
    },
    /// Give scopes and roles to an account
    Grant {
        #[command(flatten)]
        user: User,
        #[command(flatten)]
        names: PermissionNames,
    },
    /// Take scopes and roles from an account, and revoke its access tokens
    Revoke {
        #[command(flatten)]
        user: User,
        #[command(flatten)]
        names: PermissionNames,
    },
    /// Change the custom claims of an account
    #[command(subcommand)]
    Claims(Claims),
    /// Import accounts from another system with their password hashes
    Import {
        /// Read one account per line, as a JSON object or, in FILE.csv, as a record: email, password_hash; optional: verified_at, user_id
        file: PathBuf,
    },
    /// Delete an account and all its data
    Delete {
        #[command(flatten)]
        user: User,
        /// Skip the confirmation
        #[arg(long)]
        yes: bool,
    },
}

/// Scopes and roles.
#[derive(Args, Debug)]
pub(crate) struct PermissionNames {
    /// Name a scope; may be repeated
    #[arg(long = "scope", value_name = "SCOPE", allow_hyphen_values = true)]
    pub(crate) scopes: Vec<String>,
    /// Name a role; may be repeated
    #[arg(long = "role", value_name = "ROLE", allow_hyphen_values = true)]
    pub(crate) roles: Vec<String>,
}

/// Which accounts to list.
#[derive(Args, Debug)]
pub(crate) struct AccountFilter {
    /// List only accounts with an address of this domain
    #[arg(long)]
    pub(crate) domain: Option<String>,
    /// List only accounts with this scope
    #[arg(long)]
    pub(crate) scope: Option<String>,
    /// List only accounts with this role
    #[arg(long)]
    pub(crate) role: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Claims {
    /// Set a claim
    Set {
        #[command(flatten)]
        user: User,
        /// Name the claim
        name: String,
        /// Pass the value as JSON, for example '"pro"' or 3
        #[arg(allow_hyphen_values = true)]
        value: String,
    },
    /// Remove a claim, and revoke the access tokens of the account
    Unset {
        #[command(flatten)]
        user: User,
        /// Name the claim
        name: String,
    },
}

#[derive(Args, Debug)]
pub(crate) struct User {
    /// Select the account by e-mail address or user id
    #[arg(value_name = "EMAIL|ID", allow_hyphen_values = true)]
    pub(crate) user: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Print the audit entries of some days
    List {
        #[command(flatten)]
        days: Days,
        /// Print only entries about this user, by e-mail address or user id
        #[arg(long, value_name = "EMAIL|ID", allow_hyphen_values = true)]
        user: Option<String>,
        /// Print only entries with this action: login, refresh, ...
        #[arg(long)]
        action: Option<String>,
        /// Print only entries with this outcome: success, wrong_password, ...
        #[arg(long)]
        outcome: Option<String>,
        /// Print only entries from this client address
        #[arg(long)]
        address: Option<String>,
        /// Print only entries of this request
        #[arg(long, value_name = "ID", allow_hyphen_values = true)]
        request: Option<String>,
        /// Print only entries about this session
        #[arg(long, value_name = "ID", allow_hyphen_values = true)]
        session: Option<String>,
    },
    /// Find modified, deleted or inserted audit entries
    Verify(Days),
    /// Seal a closed day that no host has sealed
    Seal {
        /// Seal this UTC day, for example 2026-11-23
        #[arg(long)]
        day: String,
    },
}

/// UTC days, both inclusive.
#[derive(Args, Debug)]
pub(crate) struct Days {
    /// Start at this day, for example 2026-11-23; default: today
    #[arg(long, value_name = "DAY")]
    pub(crate) from: Option<String>,
    /// End at this day; default: the first one
    #[arg(long, value_name = "DAY")]
    pub(crate) to: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Sessions {
    /// List the active sessions of an account, newest first
    List(User),
    /// Revoke one session
    End {
        /// Select the session by its id (`sid`)
        #[arg(allow_hyphen_values = true)]
        session: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Limits {
    /// Show the limits that have counted attempts
    Show {
        /// Select the counts of an account, or of the network of a client address
        #[arg(value_name = "EMAIL|ID|IP", allow_hyphen_values = true)]
        target: String,
    },
    /// Clear the counts: this also unlocks a locked login or second factor
    Clear {
        /// Select the counts of an account, or of the network of a client address
        #[arg(value_name = "EMAIL|ID|IP", allow_hyphen_values = true)]
        target: String,
        /// Clear only this limit: login_email, factor_account, ...
        #[arg(long, value_name = "LIMIT")]
        limit: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Show every published key and its validity
    Show,
    /// Create and publish the next signing key, or complete an interrupted rotation
    Rotate,
    /// Revoke a key immediately: every edge rejects its tokens within the staleness bound
    Revoke {
        /// Select the key by its id (`kid`), as `keys show` prints it
        #[arg(value_name = "KID", allow_hyphen_values = true)]
        key: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Decode a token and explain each claim
    Inspect(Inspect),
}

#[derive(Args, Debug)]
pub(crate) struct Inspect {
    /// Pass the token, or - to read it from standard input, which hides it from process lists
    pub(crate) token: String,
    /// Verify the token against this policy
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// Set $PORTCULLIS_ISSUER of the policy
    #[arg(long, value_name = "URL")]
    pub(crate) issuer: Option<String>,
    /// Verify the signature with this JWK Set, key document or single JWK
    #[arg(long, value_name = "FILE")]
    pub(crate) keys: Option<PathBuf>,
    /// Verify at this Unix time instead of now
    #[arg(long, value_name = "SECONDS")]
    pub(crate) at: Option<u64>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Validate a policy and print its issuers and routes
    Check {
        /// Read the policy from this file: FILE.toml as TOML, any other as JSON
        file: PathBuf,
        /// Set $PORTCULLIS_ISSUER of the policy
        #[arg(long, value_name = "URL")]
        issuer: Option<String>,
        /// Accept one finding, as its help names it, for example open-method=/contact
        #[arg(long, value_name = "RULE=PATH")]
        accept: Vec<String>,
    },
    /// Check a policy and write the compact JSON for PORTCULLIS_POLICY
    Build(Build),
    /// Explain the decision of the edge about one request, step by step
    Explain(Explain),
    /// Compare the decisions about the requests of a table with the expected ones
    Test(PolicyTest),
}

#[derive(Args, Debug)]
pub(crate) struct Explain {
    /// Set the method of the request
    pub(crate) method: String,
    /// Set the URL of the request; a path alone is a path at edge.example
    pub(crate) url: String,
    /// Decide by this policy
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: PathBuf,
    /// Send this access token, or - to read it from standard input, which hides it from process lists
    #[arg(long, value_name = "TOKEN|-")]
    pub(crate) token: Option<String>,
    /// Set $PORTCULLIS_ISSUER of the policy
    #[arg(long, value_name = "URL")]
    pub(crate) issuer: Option<String>,
    /// Verify the signature with this JWK Set, key document or single JWK
    #[arg(long, value_name = "FILE")]
    pub(crate) keys: Option<PathBuf>,
    /// Send this header; may be repeated
    #[arg(long = "header", short = 'H', value_name = "NAME: VALUE")]
    pub(crate) headers: Vec<String>,
    /// Decide at this Unix time instead of now
    #[arg(long, value_name = "SECONDS")]
    pub(crate) at: Option<u64>,
}

#[derive(Args, Debug)]
pub(crate) struct PolicyTest {
    /// Read the requests and the expected decisions from this TOML file
    pub(crate) file: PathBuf,
    /// Decide by this policy
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: PathBuf,
    /// Set $PORTCULLIS_ISSUER of the policy
    #[arg(long, value_name = "URL")]
    pub(crate) issuer: Option<String>,
    /// Verify signatures with this JWK Set, key document or single JWK
    #[arg(long, value_name = "FILE")]
    pub(crate) keys: Option<PathBuf>,
    /// Decide at this Unix time instead of now
    #[arg(long, value_name = "SECONDS")]
    pub(crate) at: Option<u64>,
}

#[derive(Args, Debug)]
pub(crate) struct Build {
    /// Read the policy from this file: FILE.toml as TOML, any other as JSON
    pub(crate) file: PathBuf,
    /// Write the JSON to this file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Set $PORTCULLIS_ISSUER for the check; the JSON keeps the placeholder
    #[arg(long, value_name = "URL")]
    pub(crate) issuer: Option<String>,
    /// Accept one finding, as its help names it, for example open-method=/contact
    #[arg(long, value_name = "RULE=PATH")]
    pub(crate) accept: Vec<String>,
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;

    #[test]
    fn the_command_line_definition_is_valid() {
        Arguments::command().debug_assert();
    }

    /// One id in 64 starts with a hyphen: ids are base64url.
    #[test]
    fn an_id_may_begin_with_a_hyphen() {
        for line in [
            "sessions end -GAcQ2sd_xWzYh81xQ0aLw",
            "sessions list -hAcQ2sd_xWzYh81xQ0aLw",
            "limits show -hAcQ2sd_xWzYh81xQ0aLw",
            "limits clear -hAcQ2sd_xWzYh81xQ0aLw --limit login_email",
            "users remove-factor -hAcQ2sd_xWzYh81xQ0aLw",
            "users delete -GAcQ2sd_xWzYh81xQ0aLw --yes",
            "users grant -GAcQ2sd_xWzYh81xQ0aLw --scope a --scope b --role r",
            "users claims set -GAcQ2sd_xWzYh81xQ0aLw plan -3",
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
