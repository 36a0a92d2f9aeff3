//! A policy file in TOML or JSON.

use std::fs;
use std::path::Path;

use portcullis_core::policy::Policy;

use super::findings::Finding;
use super::node::Node;
use super::{json_tree, toml_tree};
use crate::output::Failure;

/// The form of a policy file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Form {
    Json,
    Toml,
}

impl Form {
    /// TOML by the ending `.toml`, or else JSON.
    pub(crate) fn of(file: &Path) -> Self {
        let ending = file.extension().and_then(|ending| ending.to_str());
        match ending {
            Some(ending) if ending.eq_ignore_ascii_case("toml") => Self::Toml,
            Some(_) | None => Self::Json,
        }
    }
}

/// The values of a policy text, with their places.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) root: Node,
}

impl Source {
    /// Parses `text`, which is no policy yet.
    ///
    /// # Errors
    ///
    /// The first syntax error.
    pub(crate) fn parse(text: &str, form: Form) -> Result<Self, Finding> {
        let root = match form {
            Form::Json => json_tree::parse(text)?,
            Form::Toml => toml_tree::parse(text)?,
        };
        Ok(Self { root })
    }
}

/// The text of `file`.
pub(crate) fn read_text(file: &Path) -> Result<String, Failure> {
    fs::read_to_string(file)
        .map_err(|error| Failure::Setting(format!("{}: {error}", file.display())))
}

/// The policy in `file`, which a command needs.
pub(crate) fn load(file: &Path, issuer: Option<&str>) -> Result<Policy, Failure> {
    let text = read_text(file)?;
    let unusable = |error: String| Failure::Setting(format!("the policy: {error}"));
    let source = Source::parse(&text, Form::of(file))
        .map_err(|finding| unusable(finding.line(file, &text)))?;
    Policy::parse(&source.root.to_json(), issuer).map_err(|error| {
        unusable(format!(
            "{error}; `portcullis policy check {}` shows the place",
            file.display()
        ))
    })
}
