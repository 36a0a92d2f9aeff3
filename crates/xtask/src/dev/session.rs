//! The output of `cargo xtask dev` after all health checks pass: the addresses, and a session to
//! paste.

use std::path::Path;

use super::own_app::OwnApp;
use super::ports::Ports;

/// The text. Each line to be pasted is indented by four spaces, and no other line is.
pub(super) fn text(ports: &Ports, folder: &Path, terminal: &Path, own: &OwnApp) -> String {
    let Ports {
        worker_port,
        host_port,
        dynamodb_port,
        origin_port,
        mailbox_port,
        secrets_port,
        chaos_port: _,
    } = *ports;
    let logs = folder.join("logs").display().to_string();
    let terminal = terminal.display();
    let env_file = folder.join("host.env").display().to_string();
    let demo = format!("http://127.0.0.1:{origin_port}");
    let origin = own.origin.as_ref().unwrap_or(&demo);
    let operator = format!("{terminal} --env-file {env_file}");
    let (calls, path) = if own.is_demo() {
        (demo_calls(&operator), "/hello")
    } else {
        (own_calls(&operator), "/")
    };
    format!(
        r#"
Portcullis is up. Ctrl-C stops it.

  Worker    http://127.0.0.1:{worker_port}
  host      http://127.0.0.1:{host_port}, through the Worker http://127.0.0.1:{worker_port}/auth
  DynamoDB  http://127.0.0.1:{dynamodb_port}
  origin    {origin}
  mailbox   http://127.0.0.1:{mailbox_port}/mailbox
  secrets   http://127.0.0.1:{secrets_port}
  logs      {logs}

Try it in another terminal. Register an account. (A password without a second factor needs at least
15 characters: NIST SP 800-63B-4, section 3.1.1.2.)

    WORKER=http://127.0.0.1:{worker_port} HOST=http://127.0.0.1:{worker_port}/auth
    ADA='{{"email": "ada@example.com", "password": "gates fall at nightfall"}}'
    curl -sS $HOST/v1/register -H 'content-type: application/json' -d "$ADA"; echo

After a moment the verification mail is in the mailbox. A deployment rejects a login before the verification; here
this check is off, so you may skip it. The page behind the link asks for a new password, because curl registered.

    curl -sS http://127.0.0.1:{mailbox_port}/mailbox; echo

Log in and store the token.

    LOGIN=$(curl -sS $HOST/v1/login -H 'content-type: application/json' -d "$ADA")
    TOKEN=$(echo "$LOGIN" | sed -E 's/.*"access_token": ?"([^"]+)".*/\1/')

{calls}
Log out. The Worker rejects the same token after its next poll (within 10 s).

    curl -sS -w '%{{http_code}}\n' -X POST $HOST/v1/logout -H "authorization: Bearer $TOKEN"
    sleep 10
    curl -sS -w '\n%{{http_code}}\n' $WORKER{path} -H "authorization: Bearer $TOKEN"

Show the account with the operator's CLI.

    {terminal} --env-file {env_file} users show ada@example.com

Rotate the signing key: the next key is published now, and signs after every cache must have it.

    {terminal} --env-file {env_file} keys rotate
    {terminal} --env-file {env_file} keys show
"#
    )
}

/// Calls of the demo, whose policy has a public, an admin and a guarded part.
fn demo_calls(operator: &str) -> String {
    format!(
        r#"Call the origin through the Worker: 401 without the token, 200 with it, 403 without the admin scope.

    curl -sS -w '\n%{{http_code}}\n' $WORKER/hello
    curl -sS -w '\n%{{http_code}}\n' $WORKER/hello -H "authorization: Bearer $TOKEN"
    curl -sS -w '\n%{{http_code}}\n' $WORKER/admin/ -H "authorization: Bearer $TOKEN"

Give the account the scope with the operator's CLI. The next token has it: 200.

    {operator} users grant ada@example.com --scope admin
    LOGIN=$(curl -sS $HOST/v1/login -H 'content-type: application/json' -d "$ADA")
    TOKEN=$(echo "$LOGIN" | sed -E 's/.*"access_token": ?"([^"]+)".*/\1/')
    curl -sS -w '\n%{{http_code}}\n' $WORKER/admin/ -H "authorization: Bearer $TOKEN"
"#
    )
}

/// Calls of an app and a policy that only their owner knows.
fn own_calls(operator: &str) -> String {
    format!(
        r#"Call your app through the Worker, without the token and with it. Your policy decides.

    curl -sS -w '\n%{{http_code}}\n' $WORKER/
    curl -sS -w '\n%{{http_code}}\n' $WORKER/ -H "authorization: Bearer $TOKEN"

If a route requires a scope, give it to the account. The next token has it.

    {operator} users grant ada@example.com --scope SCOPE
"#
    )
}

/// The additional text if chaos proxies the database and Secrets Manager.
pub(super) fn chaos(port: u16, seed: u64) -> String {
    format!(
        r#"The chaos proxy injects faults into calls of the database and Secrets Manager, with seed {seed}. Some
responses will be 503 with Retry-After, and none may be wrong. Show the fault counts, disable and enable faults:

    curl -sS http://127.0.0.1:{port}/chaos; echo
    curl -sS -X POST http://127.0.0.1:{port}/chaos/stop; echo
    curl -sS -X POST http://127.0.0.1:{port}/chaos/start; echo
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_shows_the_ports_in_use_and_a_password_of_sufficient_length() {
        let ports = Ports {
            worker_port: 1,
            host_port: 2,
            dynamodb_port: 3,
            origin_port: 4,
            mailbox_port: 5,
            secrets_port: 6,
            chaos_port: 7,
        };
        let (folder, terminal) = (Path::new("elsewhere"), Path::new("portcullis"));
        let text = text(&ports, folder, terminal, &OwnApp::default());
        for part in [
            "WORKER=http://127.0.0.1:1 HOST=http://127.0.0.1:1/auth",
            "http://127.0.0.1:2,",
            ":3\n",
            ":4\n",
            ":5/mailbox\n",
            ":6\n",
            "elsewhere/logs",
            "portcullis --env-file elsewhere/host.env",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        let password = text
            .split(r#""password": ""#)
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap();
        assert!(password.len() >= 15);
    }
}
