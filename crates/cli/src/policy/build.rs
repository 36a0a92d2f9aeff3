//! `portcullis policy build`: the compact JSON for `PORTCULLIS_POLICY`.

use std::fs;

use serde_json::{Value, json};

use super::Checked;
use super::findings::Severity;
use crate::arguments::Build;
use crate::output::{CommandOutput, Failure};

/// The limit of a Worker variable on Cloudflare.
const MAX_VARIABLE_BYTES: usize = 5 * 1024;

pub(super) fn run(arguments: &Build) -> Result<CommandOutput, Failure> {
    let file = arguments.file.as_path();
    // The placeholder of the issuer stays in the JSON, so a build works without the issuer.
    let issuer = arguments
        .issuer
        .as_deref()
        .unwrap_or("https://issuer.invalid");
    let mut checked = Checked::of(file, Some(issuer), &arguments.accept, Severity::Error)?;
    let Some((source, _)) = checked.accepted.take() else {
        return Ok(checked.refused(file));
    };
    let policy = source.root.to_json();
    let size = policy.len();
    let mut report = checked.lines(file);
    report.push_str(&format!("{size} bytes of JSON for PORTCULLIS_POLICY\n"));
    let is_large = size > MAX_VARIABLE_BYTES;
    if is_large {
        report.push_str(&format!(
            "warning: a Worker variable has at most {MAX_VARIABLE_BYTES} bytes: Cloudflare rejects this one\n"
        ));
    }
    let mut json = json!({"bytes": size, "too_large": is_large, "findings": checked.json()});
    match &arguments.output {
        None => {
            if let Value::Object(members) = &mut json {
                members.insert("policy".to_owned(), Value::String(policy.clone()));
            }
            Ok(CommandOutput::good(format!("{policy}\n"), json).with_note(report))
        }
        Some(output) => {
            fs::write(output, format!("{policy}\n"))
                .map_err(|error| Failure::Setting(format!("{}: {error}", output.display())))?;
            report.push_str(&format!("written to {}\n", output.display()));
            Ok(CommandOutput::good(report, json))
        }
    }
}
