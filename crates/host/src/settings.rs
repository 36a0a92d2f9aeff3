//! Every setting, in one table: the start-up errors, `portcullis settings` and `docs/reference/configuration.md` come
//! from it.

/// A variable of the environment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Setting {
    /// The name.
    pub name: &'static str,
    /// The values it accepts, in Markdown.
    pub kind: &'static str,
    /// The value without it, in Markdown.
    pub default: &'static str,
    /// The programs that read it.
    pub read_by: &'static str,
    /// One sentence on its meaning, in Markdown.
    pub meaning: &'static str,
}

/// Settings that belong together.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// The heading.
    pub title: &'static str,
    /// The settings, in the order of the page.
    pub settings: &'static [Setting],
}

impl Setting {
    /// The row of the page.
    pub fn row(&self) -> String {
        let Self {
            name,
            kind,
            default,
            read_by,
            meaning,
        } = self;
        format!("| `{name}` | {kind} | {default} | {read_by} | {meaning} |")
    }
}

/// The former names of variables, with the current ones. SECURITY: a former name is a fault, because
/// the default that would replace its value may be less strict.
pub const RENAMED: [(&str, &str); 7] = [
    ("PORTCULLIS_BREACH_RANGE", "PORTCULLIS_PWNED_PASSWORDS_URL"),
    (
        "PORTCULLIS_BREACH_UNREACHABLE",
        "PORTCULLIS_PWNED_PASSWORDS_FAIL_MODE=closed|open",
    ),
    ("PORTCULLIS_CLIENT_ADDRESS", "PORTCULLIS_CLIENT_IP_SOURCE"),
    ("PORTCULLIS_EDGE_KEY_AGE", "PORTCULLIS_EDGE_JWKS_MAX_AGE"),
    ("PORTCULLIS_FORMER_HASH", "PORTCULLIS_LEGACY_HASH_SAMPLE"),
    (
        "PORTCULLIS_LIMITS_WHEN_DOWN",
        "PORTCULLIS_RATE_LIMIT_FAIL_MODE=closed|open",
    ),
    ("PORTCULLIS_SERVICE_NAMES", "PORTCULLIS_BRAND_NAMES"),
];

/// The setting called `name`.
pub fn find(name: &str) -> Option<&'static Setting> {
    let mut settings = SECTIONS.iter().flat_map(|section| section.settings);
    settings.find(|setting| setting.name == name)
}

/// The values that the variable `name` accepts, in plain text.
pub(crate) fn expected(name: &str) -> String {
    let kind = find(name).map_or("another value", |setting| setting.kind);
    kind.replace('`', "")
}

macro_rules! settings {
    ($($title:literal { $($constant:ident: $kind:literal, $default:literal, $read_by:literal, $meaning:literal;)+ })+) => {
        $($(
            #[doc = concat!("The name of the variable: ", $meaning)]
            pub const $constant: &str = stringify!($constant);
        )+)+

        /// Every setting, as the page lists them.
        pub const SECTIONS: &[Section] = &[$(Section {
            title: $title,
            settings: &[$(Setting {
                name: $constant,
                kind: $kind,
                default: $default,
                read_by: $read_by,
                meaning: $meaning,
            },)+],
        },)+];
    };
}

settings! {
    "Tokens" {
        PORTCULLIS_ISSUER: "https URL, or http on loopback", "required", "native, Worker",
            "`iss` of the host's tokens; in the Worker it is optional and replaces `$PORTCULLIS_ISSUER` in the policy.";
        PORTCULLIS_AUDIENCE: "printable ASCII without blanks, up to 512 characters", "required", "native",
            "`aud` of a token whose client names no resource.";
        PORTCULLIS_RESOURCES: "up to 32 audiences, separated by commas", "none", "native",
            "Further audiences, which a client names as `resource` (RFC 8707); see [tokens.md](../tokens.md).";
        PORTCULLIS_ACCOUNT_AUDIENCE: "printable ASCII without blanks, up to 512 characters", "the issuer", "native",
            "Audience of the account endpoints; see [tokens.md](../tokens.md).";
        PORTCULLIS_CLIENT_ID: "printable ASCII without blanks, up to 512 characters", "`portcullis`", "native",
            "`client_id` of the host's tokens.";
        PORTCULLIS_ACCESS_LIFETIME: "seconds, 1 to 86400", "`600`", "native",
            "Lifetime of an access token; it must not exceed `max_lifetime` of the policy.";
        PORTCULLIS_NEW_ACCOUNT_SCOPES: "scopes, separated by commas, up to 1024 bytes", "none", "native",
            "Scopes of a new account; a later change of this setting changes no account. See [tokens.md](../tokens.md).";
        PORTCULLIS_NEW_ACCOUNT_ROLES: "roles, separated by commas, up to 1024 bytes", "none", "native",
            "Roles of a new account, likewise.";
    }
    "Sessions and clients" {
        PORTCULLIS_SESSION_IDLE: "seconds, 60 to 34560000 (400 days)", "`1209600` (14 days)", "native",
            "Time after which an unused session ends.";
        PORTCULLIS_SESSION_LIFETIME: "seconds, 60 to 34560000 (400 days)", "`2592000` (30 days)", "native",
            "Maximum lifetime of a session.";
        PORTCULLIS_REFRESH_GRACE: "seconds, 0 to 60", "`10`", "native",
            "Time in which a used refresh token returns the same successor; see [sessions.md](../sessions.md).";
        PORTCULLIS_ALLOWED_ORIGINS: "up to 32 origins such as `https://app.example`, separated by commas", "none", "native",
            "Origins whose pages count as own, beside the issuer's: they may call the host with cookies (CORS, CSRF check); see [sessions.md](../sessions.md).";
        PORTCULLIS_CLIENTS_FILE: "path", "none", "native",
            "File with the clients that may introspect, read again after `PORTCULLIS_SECRET_CACHE`; set this or the secret, not both.";
        PORTCULLIS_CLIENTS_SECRET: "name or ARN", "none", "native",
            "Secret with the clients that may introspect, read again after `PORTCULLIS_SECRET_CACHE`; set this or the file, not both.";
    }
    "Keys and rotation" {
        PORTCULLIS_SIGNING_SECRET: "name or ARN", "required, or the file", "native",
            "Secrets Manager secret with the signing key as a private JWK.";
        PORTCULLIS_SIGNING_KEY_FILE: "path", "required, or the secret", "native",
            "File with the signing key, created at the first start with mode 0600; for development, never rotated.";
        PORTCULLIS_SIGNING_ALGORITHM: "`EdDSA`, `ES256` or `RS256`", "`EdDSA`", "native",
            "Algorithm of new signing keys.";
        PORTCULLIS_SECRET_CACHE: "seconds, 1 to 604800", "`300`", "native",
            "Time for which a host uses the signing secret and the list of clients before it reads them again; see [rotation.md](../rotation.md).";
        PORTCULLIS_JWKS_MAX_AGE: "seconds, 1 to 604800", "`300`", "native",
            "`max-age` of the JWK Set; see [rotation.md](../rotation.md).";
        PORTCULLIS_EDGE_JWKS_MAX_AGE: "seconds, 1 to 604800", "`3600`, the maximum of a policy", "native",
            "Maximum age of keys at an edge, which a rotation waits for: `keys.hard` of the policy, or the longest `serve_stale`.";
        PORTCULLIS_THIRD_PARTY_CACHE: "seconds, 0 to 604800", "`86400`", "native",
            "Time for which third parties that ignore `max-age` cache the JWK Set, which a rotation waits for; 0 if there are none.";
        PORTCULLIS_HOST_SECRET: "name or ARN", "required, or the file", "native",
            "Secrets Manager secret with the host's root keys, `{\"id\",\"key\",\"previous\"}`.";
        PORTCULLIS_HOST_SECRET_FILE: "path", "required, or the secret", "native",
            "File with the host's root keys, created at the first start with mode 0600; for development.";
    }
    "Passwords" {
        PORTCULLIS_BRAND_NAMES: "up to 16 names of up to 64 characters, separated by commas", "the labels of the issuer's host name", "native",
            "Names of the service: the first is used in mail, and no name counts as part of a password.";
        PORTCULLIS_PASSWORD_SCORE: "0 to 4", "`0`: any", "native",
            "Minimum zxcvbn score of a new password.";
        PORTCULLIS_PWNED_PASSWORDS_URL: "https URL with a final slash, or http on loopback", "none", "native",
            "Breach range service for new passwords, such as `https://api.pwnedpasswords.com/range/`.";
        PORTCULLIS_PWNED_PASSWORDS_FAIL_MODE: "`open` or `closed`", "`open`", "native",
            "Fail open or closed for new passwords while the breached-password service is unavailable.";
        PORTCULLIS_PEPPER: "`on` or `off`", "`off`", "native",
            "`on` adds a key derived from the host's root key to new password hashes; see [passwords.md](../passwords.md).";
        PORTCULLIS_LEGACY_HASH_SAMPLE: "a password hash of an importable kind", "none", "native",
            "Example hash of the imported kind, so that every check takes equal time while such hashes exist.";
        PORTCULLIS_HASH_MEMORY: "MiB, 32 to 65536", "half of the Lambda's memory, or `512`", "native",
            "Maximum memory of all concurrent hashes.";
    }
    "Mail and addresses" {
        PORTCULLIS_MAIL_FROM: "e-mail address", "none: mail stays in the outbox", "native",
            "Sender address of mail through SES; see [mail.md](../mail.md).";
        PORTCULLIS_MAILBOX: "path", "none: SES", "native",
            "Folder that receives mail as files instead of SES, for development.";
        PORTCULLIS_SES_ENDPOINT: "https URL, or http on loopback", "the region's endpoint", "native",
            "Endpoint of SES.";
        PORTCULLIS_REQUIRE_VERIFIED: "`on` or `off`", "`on`", "native",
            "`on` rejects logins until the address of the account is verified.";
        PORTCULLIS_SMTPUTF8: "`on` or `off`", "`off`", "native",
            "`on` accepts new addresses with a local part beyond ASCII (RFC 6531); SES cannot deliver to them.";
        PORTCULLIS_PUBLIC_URL: "https URL, or http on loopback", "the issuer", "native",
            "Base of the links in mail.";
        PORTCULLIS_VERIFY_PAGE: "https URL, or http on loopback", "the host's page at the public URL", "native",
            "Your own page for address verification.";
        PORTCULLIS_RESET_PAGE: "https URL, or http on loopback", "the host's page at the public URL", "native",
            "Your own page for a password reset.";
        PORTCULLIS_UNLOCK_PAGE: "https URL, or http on loopback", "the host's page at the public URL", "native",
            "Your own page that makes a browser known after a lockout.";
        PORTCULLIS_VERIFY_LIFETIME: "seconds, 600 to 3600", "`3600`", "native",
            "Lifetime of a link that verifies an address.";
        PORTCULLIS_RESET_LIFETIME: "seconds, 600 to 3600", "`1800`", "native",
            "Lifetime of a link that resets a password.";
        PORTCULLIS_UNLOCK_LIFETIME: "seconds, 600 to 3600", "`3600`", "native",
            "Lifetime of a link that makes a browser known.";
        PORTCULLIS_INVITE_LIFETIME: "seconds, 3600 to 2592000", "`604800`", "native",
            "Lifetime of the link in an invitation (`portcullis users create --invite`).";
        PORTCULLIS_DISPOSABLE: "`refuse` or `allow`", "`allow`", "native",
            "Decision on registrations from disposable e-mail domains.";
        PORTCULLIS_DISPOSABLE_FILE: "path", "none", "native",
            "File with more disposable domains, one per line.";
    }
    "Limits and client addresses" {
        PORTCULLIS_LIMITS: "`name=attempts/seconds` or `name=off`, separated by commas; or `off`", "the default quotas", "native",
            "Overrides of rate limits; see [limits.md](../limits.md).";
        PORTCULLIS_RATE_LIMIT_FAIL_MODE: "`closed` or `open`", "`closed`", "native",
            "Fail closed or open when the store cannot count an attempt.";
        PORTCULLIS_CLIENT_IP_SOURCE: "`connection`, `cloudfront`, `cloudflare` or `header:<name>`", "`connection`", "native",
            "Trusted source of the client address; see [limits.md](../limits.md).";
        PORTCULLIS_EDGE_SECRET: "32 or more printable ASCII characters without blanks", "none; the host requires it unless `PORTCULLIS_CLIENT_IP_SOURCE` is `connection`", "native, Worker",
            "Shared secret with which an edge authenticates to the host or to another origin; a secret in the Worker.";
        PORTCULLIS_RATE_PERIOD: "`10` or `60`", "`60`", "Worker",
            "Period in seconds of the binding `RATE_LIMIT`, for `Retry-After`; the binding does not return it. A build without the feature `rate-limit` rejects the variable.";
    }
    "Entry points and logs" {
        PORTCULLIS_LISTEN: "address and port", "required outside Lambda", "native",
            "Address of the host's socket; the CLI ignores it, and the two function programs run on Lambda only.";
        PORTCULLIS_MAX_CONNECTIONS: "1 to 1000000", "`1024`", "native",
            "Open connections to the socket; 32 more serve `/health` alone. A connection without a place is closed.";
        PORTCULLIS_MAX_CONNECTIONS_PER_ADDRESS: "1 to 1000000", "`256`", "native",
            "Open connections of one IPv4 address or IPv6 /64. Behind a proxy all connections come from its addresses: raise it to `PORTCULLIS_MAX_CONNECTIONS` there.";
        PORTCULLIS_HEADER_TIMEOUT: "seconds, 1 to 3600", "`15`", "native",
            "Time from the first to the last byte of a request's head.";
        PORTCULLIS_BODY_TIMEOUT: "seconds, 1 to 3600", "`10`", "native",
            "Time for the body of a request to arrive, also on Lambda.";
        PORTCULLIS_IDLE_TIMEOUT: "seconds, 1 to 3600", "`75`", "native",
            "Time for which a connection may be silent between two requests. A proxy must close its connections earlier: an AWS load balancer keeps them for 60 s.";
        PORTCULLIS_WRITE_TIMEOUT: "seconds, 1 to 3600", "`30`", "native",
            "Time for which a client may accept no byte of a response.";
        PORTCULLIS_LOG: "`off`, `error`, `warn`, `info`, `debug` or `trace`", "`info`", "native",
            "Minimum level of log lines.";
        PORTCULLIS_POLICY: "JSON", "required", "Worker",
            "The policy; see [policy.md](../policy.md).";
        PORTCULLIS_ORIGIN: "https and host, with an optional port; http on loopback only", "required", "Worker",
            "Origin that receives admitted requests.";
        PORTCULLIS_HOST: "https and host, with an optional port; http on loopback only", "none: the host has an address of its own", "Worker",
            "Address of the auth host, which the Worker then serves under the path of `PORTCULLIS_ISSUER`; see [one-origin.md](../one-origin.md).";
        PORTCULLIS_HOST_EDGE_SECRET: "32 or more printable ASCII characters without blanks", "required with `PORTCULLIS_HOST`", "Worker",
            "The value of `PORTCULLIS_EDGE_SECRET` at the host; a secret.";
        PORTCULLIS_ORIGIN_PROOF: "`secret`, `assertion` or `none`", "`secret` if `PORTCULLIS_EDGE_SECRET` is set, else `none`", "Worker",
            "Proof to the origin that a request passed the edge: the secret itself in `x-portcullis-edge-secret`, or a signed assertion in `x-portcullis-assertion`.";
        PORTCULLIS_ASSERTION_KEYS: "JWK Set of one or two private keys, each with `kid` and `alg` `EdDSA` or `ES256`", "none: the assertion has an HMAC under `PORTCULLIS_EDGE_SECRET`", "Worker",
            "Keys of the assertion, a secret; the first signs. Only with `PORTCULLIS_ORIGIN_PROOF=assertion`. A build without the feature `assertion-keys` rejects the variable.";
    }
    "AWS" {
        AWS_REGION: "region name", "required; Lambda sets it", "native, Worker",
            "Region of DynamoDB, Secrets Manager and SES.";
        AWS_ACCESS_KEY_ID: "text", "required; Lambda sets it", "native, Worker",
            "Access key; a secret in the Worker.";
        AWS_SECRET_ACCESS_KEY: "text", "required; Lambda sets it", "native, Worker",
            "Secret key that signs calls to AWS; a secret in the Worker.";
        AWS_SESSION_TOKEN: "text", "none; Lambda sets it", "native, Worker",
            "Session token of temporary credentials; a secret in the Worker.";
        PORTCULLIS_DYNAMODB_ENDPOINT: "https URL, or http on loopback", "the region's endpoint", "native, Worker",
            "Endpoint of DynamoDB.";
        PORTCULLIS_SECRETS_ENDPOINT: "https URL, or http on loopback", "the region's endpoint", "native",
            "Endpoint of Secrets Manager.";
        PORTCULLIS_STS_ENDPOINT: "https URL, or http on loopback", "the region's endpoint; none if the endpoint of DynamoDB is on loopback", "native",
            "Endpoint of STS, which the CLI asks for the identity of its credentials; see [operator.md](../operator.md).";
        PORTCULLIS_TABLE: "table name, 3 to 255 characters", "`Portcullis`", "native",
            "Table of accounts, sessions and audit entries.";
        PORTCULLIS_BLACKLIST_TABLE: "table name, 3 to 255 characters", "`TokenBlacklist`", "native, Worker",
            "Table of revocations, feed, packs and key document.";
        AWS_LAMBDA_RUNTIME_API: "host and port", "none; Lambda sets it", "native",
            "Selects Lambda events instead of the socket; the CLI ignores it.";
        AWS_LAMBDA_FUNCTION_NAME: "text", "required on Lambda, which sets it", "native",
            "Name of the function, which the Lambda runtime library needs.";
        AWS_LAMBDA_FUNCTION_VERSION: "text", "required on Lambda, which sets it", "native",
            "Version of the function, which the Lambda runtime library needs.";
        AWS_LAMBDA_FUNCTION_MEMORY_SIZE: "megabytes", "required on Lambda, which sets it", "native",
            "Memory of the function: half of it is the default of `PORTCULLIS_HASH_MEMORY`.";
    }
    "Bindings of the Worker" {
        RATE_LIMIT: "`[[ratelimits]]`", "none: the Worker counts nothing", "Worker",
            "The platform's rate limit per network; see [limits.md](../limits.md).";
        METRICS: "`[[analytics_engine_datasets]]`", "none: the log only", "Worker",
            "Dataset that receives the metrics in addition to the log; see [revocation.md](../revocation.md).";
    }
    "`cargo xtask dev`" {
        PORTCULLIS_WORKER_PORT: "port, `--worker-port`", "`8787`", "dev",
            "Port of the Worker.";
        PORTCULLIS_HOST_PORT: "port, `--host-port`", "`8788`", "dev",
            "Port of the host.";
        PORTCULLIS_DYNAMODB_PORT: "port, `--dynamodb-port`", "`8000`", "dev",
            "Port of the database.";
        PORTCULLIS_ORIGIN_PORT: "port, `--origin-port`", "`8789`", "dev",
            "Port of the demo origin.";
        PORTCULLIS_MAILBOX_PORT: "port, `--mailbox-port`", "`8790`", "dev",
            "Port of the mailbox.";
        PORTCULLIS_SECRETS_PORT: "port, `--secrets-port`", "`8791`", "dev",
            "Port of the local Secrets Manager.";
        PORTCULLIS_CHAOS_PORT: "port, `--chaos-port`", "`8001`", "dev",
            "Port of the chaos proxy, with `--chaos`.";
        PORTCULLIS_DEV_FOLDER: "path, `--folder`", "`target/dev`", "dev",
            "Folder of the database, the keys and the logs.";
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    fn page() -> String {
        let page = "../../docs/reference/configuration.md";
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).expect("the page")
    }

    #[test]
    fn the_reference_page_has_exactly_the_settings_of_this_table() {
        let page = page();
        let rows = page.lines().filter(|line| line.starts_with("| `"));
        let rows: Vec<&str> = rows.collect();
        let mut expected = Vec::new();
        for section in SECTIONS {
            assert!(page.contains(&format!("\n## {}\n", section.title)));
            expected.extend(section.settings.iter().map(Setting::row));
        }
        for (row, expected) in rows.iter().zip(&expected) {
            assert_eq!(row, expected);
        }
        assert_eq!(rows.len(), expected.len());
    }

    #[test]
    fn every_variable_that_the_sources_name_is_in_the_table_and_the_other_way_round() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut named = BTreeSet::new();
        for folder in [
            "crates/host/src",
            "crates/worker/src",
            "crates/xtask/src",
            "lambda-host/src",
        ] {
            collect(&root.join(folder), &mut named);
        }
        let table: BTreeSet<String> = SECTIONS
            .iter()
            .flat_map(|section| section.settings)
            .map(|setting| setting.name.to_owned())
            .collect();
        let unknown: Vec<_> = named
            .difference(&table)
            .filter(|name| !TEST_VARIABLES.contains(&name.as_str()))
            .collect();
        assert!(unknown.is_empty(), "not in the table: {unknown:?}");
        let unread: Vec<_> = table.difference(&named).collect();
        assert!(unread.is_empty(), "read by no program: {unread:?}");
    }

    /// Variables of the tests and of the build, no settings.
    const TEST_VARIABLES: [&str; 4] = [
        "PORTCULLIS_BINARIES",
        "PORTCULLIS_PYTHON",
        "PORTCULLIS_MOTO",
        "PORTCULLIS_LINT",
    ];

    fn collect(folder: &Path, named: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                collect(&path, named);
            } else if path.extension().is_some_and(|ending| ending == "rs")
                && path.file_name().is_some_and(|name| name != "settings.rs")
            {
                let text = fs::read_to_string(&path).expect("a source");
                let words = text
                    .split(|c: char| !c.is_ascii_uppercase() && !c.is_ascii_digit() && c != '_');
                named.extend(
                    words
                        .filter(|word| !word.ends_with('_'))
                        .filter(|word| {
                            // The last two are bindings.
                            word.starts_with("PORTCULLIS_")
                                || word.starts_with("AWS_")
                                || ["METRICS", "RATE_LIMIT"].contains(word)
                        })
                        .map(str::to_owned),
                );
            }
        }
    }

    #[test]
    fn an_error_states_the_accepted_values_in_plain_text() {
        assert_eq!(expected("PORTCULLIS_PEPPER"), "on or off");
    }
}
