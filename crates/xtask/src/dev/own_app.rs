//! The app and the policy of the user, in place of the demo.

use std::path::{self, Path};

use anyhow::{Context, Result, ensure};

use crate::workspace::Workspace;

/// `--origin` and `--policy`; the demo's own where one is not given.
#[derive(Default)]
pub(super) struct OwnApp {
    /// The address of the app.
    pub(super) origin: Option<String>,
    /// The policy as compact JSON.
    pub(super) policy: Option<String>,
}

impl OwnApp {
    /// Checks the address of the app.
    pub(super) fn at(origin: Option<&str>) -> Result<Self> {
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
            policy: None,
        })
    }

    /// Checks the policy in `file` with the operator's CLI, as a deployment does, and takes it.
    pub(super) fn build_policy(
        &mut self,
        workspace: &Workspace,
        file: &Path,
        issuer: &str,
    ) -> Result<()> {
        let mut build = workspace.program(workspace.binary("portcullis"));
        build
            .args(["policy", "build", "--issuer", issuer])
            // A path on the command line is relative to the caller's folder.
            .arg(path::absolute(file).context("the current folder is unknown")?);
        let output = build.output().context("cannot run the operator's CLI")?;
        let findings = String::from_utf8_lossy(&output.stderr);
        let policy = String::from_utf8(output.stdout).context("the policy is not UTF-8")?;
        ensure!(output.status.success(), "{policy}{findings}");
        self.policy = Some(policy.trim().to_owned());
        Ok(())
    }

    /// Whether the demo's origin and policy are in use, which the printed session knows.
    pub(super) const fn is_demo(&self) -> bool {
        self.origin.is_none() && self.policy.is_none()
    }
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
            assert!(OwnApp::at(Some(origin)).is_ok_and(|own| !own.is_demo()));
        }
        for bad in [
            "http://app.example",
            "127.0.0.1:3000",
            "http://127.0.0.1.evil.example",
        ] {
            assert!(OwnApp::at(Some(bad)).is_err(), "{bad}");
        }
        assert!(OwnApp::at(None).is_ok_and(|own| own.is_demo()));
    }
}
