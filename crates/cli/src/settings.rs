//! `portcullis settings`: every setting with its type, default, readers and meaning.

use portcullis_host::settings::{SECTIONS, Setting, find};
use serde_json::{Value, json};

use crate::output::{CommandOutput, Failure};

const HEAD: &str =
    "| name | type | default | read by | meaning |\n| --- | --- | --- | --- | --- |\n";

pub(crate) fn run(name: Option<&str>, markdown: bool) -> Result<CommandOutput, Failure> {
    match name {
        Some(name) => one(name),
        None if markdown => Ok(CommandOutput::text(tables())),
        None => Ok(all()),
    }
}

fn one(name: &str) -> Result<CommandOutput, Failure> {
    let setting = find(&name.to_uppercase()).ok_or_else(|| {
        Failure::Setting(format!(
            "there is no setting {name}; `portcullis settings` lists them"
        ))
    })?;
    let text = format!(
        "{}\n  {}\n  type      {}\n  default   {}\n  read by   {}\n",
        setting.name,
        plain(setting.meaning),
        plain(setting.kind),
        plain(setting.default),
        plain(setting.read_by),
    );
    Ok(CommandOutput::good(text, json(setting)))
}

fn all() -> CommandOutput {
    let mut text = String::new();
    for section in SECTIONS {
        text.push_str(&format!("{}\n", plain(section.title)));
        for setting in section.settings {
            text.push_str(&format!(
                "  {:<38} {} (default: {})\n",
                setting.name,
                plain(setting.kind),
                plain(setting.default)
            ));
        }
        text.push('\n');
    }
    text.push_str("`portcullis settings NAME` explains one of them.\n");
    let settings = SECTIONS.iter().flat_map(|section| section.settings);
    let settings: Vec<Value> = settings.map(json).collect();
    CommandOutput::good(text, json!({ "settings": settings }))
}

/// The tables of the reference page.
fn tables() -> String {
    let tables = SECTIONS.iter().map(|section| {
        let rows: String = section
            .settings
            .iter()
            .map(|setting| setting.row() + "\n")
            .collect();
        format!("## {}\n\n{HEAD}{rows}", section.title)
    });
    tables.collect::<Vec<_>>().join("\n")
}

fn json(setting: &Setting) -> Value {
    json!({
        "name": setting.name,
        "type": plain(setting.kind),
        "default": plain(setting.default),
        "read_by": plain(setting.read_by),
        "meaning": plain(setting.meaning),
    })
}

/// Markdown without code marks and link targets.
fn plain(markdown: &str) -> String {
    let mut text = String::with_capacity(markdown.len());
    let mut rest = markdown;
    while let Some((before, link)) = rest.split_once('[') {
        text.push_str(before);
        match link.split_once("](") {
            Some((name, after)) => {
                text.push_str(name);
                rest = after.split_once(')').map_or("", |(_, after)| after);
            }
            None => {
                text.push('[');
                rest = link;
            }
        }
    }
    text.push_str(rest);
    text.replace('`', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_is_printed_as_plain_text() {
        let markdown = "`on` or [docs](../x.md), and [more](y).";
        assert_eq!(plain(markdown), "on or docs, and more.");
        assert_eq!(plain("a [b"), "a [b");
    }

    #[test]
    fn a_setting_is_found_in_any_case_and_an_unknown_one_is_an_error() {
        assert!(run(Some("portcullis_refresh_grace"), false).is_ok());
        assert!(run(Some("PORTCULLIS_NO_SUCH"), false).is_err());
    }
}
