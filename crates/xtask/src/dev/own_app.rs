//! The app and the policy of the user, in place of the demo.

use std::path::Path;

use anyhow::{Result, ensure};

use crate::workspace::read;

/// `--origin` and `--policy`; the demo's own where one is not given.
#[derive(Default)]
pub(super) struct OwnApp {
    /// The address of the app.
    pub(super) origin: Option<String>,
    /// The policy, in one line.
    pub(super) policy: Option<String>,
}

impl OwnApp {
    /// Reads the policy and checks the form of both.
    pub(super) fn read(origin: Option<&str>, policy: Option<&Path>) -> Result<Self> {
        if let Some(origin) = origin {
            let loopback = ["http://127.0.0.1:", "http://localhost:", "http://[::1]:"];
            let is_local = loopback.iter().any(|start| origin.starts_with(start));
            ensure!(
                is_local || origin.starts_with("https://"),
                "--origin needs an http address on this machine, such as http://127.0.0.1:3000, or an https one"
            );
        }
        Ok(Self {
            origin: origin.map(str::to_owned),
            policy: policy.map(one_line).transpose()?,
        })
    }

    /// Whether the demo's origin and policy are in use, which the printed session knows.
    pub(super) fn is_demo(&self) -> bool {
        self.origin.is_none() && self.policy.is_none()
    }
}

/// The JSON text without line breaks, which no string in it can contain. The Worker checks it.
fn one_line(path: &Path) -> Result<String> {
    let text = read(path)?.replace(['\n', '\r'], " ");
    let text = text.trim();
    ensure!(
        text.starts_with('{'),
        "{} is no JSON object",
        path.display()
    );
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_is_on_this_machine_or_reached_with_tls() {
        for origin in [
            "http://127.0.0.1:3000",
            "http://localhost:3000",
            "https://app.example",
        ] {
            assert!(OwnApp::read(Some(origin), None).is_ok_and(|own| !own.is_demo()));
        }
        for bad in [
            "http://app.example",
            "127.0.0.1:3000",
            "http://127.0.0.1.evil.example",
        ] {
            assert!(OwnApp::read(Some(bad), None).is_err(), "{bad}");
        }
        assert!(OwnApp::read(None, None).is_ok_and(|own| own.is_demo()));
        assert!(OwnApp::read(None, Some(Path::new("/no/such/file"))).is_err());
    }
}
