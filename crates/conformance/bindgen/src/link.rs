//! Stands before the linker, and leaves the exports of unused items out of what rustc asks it for.
//!
//! Only the linker still knows which data and which entries of the function table belong to an item. After it, a
//! removed export leaves all that behind which the item reached through a pointer: 12 KB in the Worker.

use std::{
    collections::BTreeSet,
    env,
    ffi::{OsStr, OsString},
    process::{self, Command},
};

use anyhow::{Context, Result};

use crate::items::unused;

/// How rustc begins the arguments of a linker for wasm.
pub(crate) const FIRST_ARGUMENT: &str = "-flavor";

/// Links as rustc says, without the unused exports, and ends as the linker ends.
///
/// # Errors
///
/// The linker cannot be started, or those of [`unused`].
pub(crate) fn link(arguments: &[OsString]) -> Result<()> {
    // rustc puts the folder of its own linker into the PATH.
    let linker = format!("rust-lld{}", env::consts::EXE_SUFFIX);
    let status = Command::new(linker)
        .args(without_unused(arguments)?)
        .status()
        .context("cannot start rust-lld")?;
    process::exit(status.code().unwrap_or(1));
}

/// The arguments without `--export NAME` for unused names. A system with short command lines gets them in a file
/// (`@FILE`); that is left as it is, and the module is larger there.
fn without_unused(arguments: &[OsString]) -> Result<Vec<&OsString>> {
    if arguments
        .iter()
        .any(|argument| argument.to_string_lossy().starts_with('@'))
    {
        return Ok(arguments.iter().collect());
    }
    let exported = arguments.windows(2).filter_map(|pair| match pair {
        [option, name] if option == "--export" => name.to_str(),
        _ => None,
    });
    let exported: BTreeSet<&str> = exported.collect();
    let unused = unused(&exported)?;
    let is_unused = |name: Option<&OsString>| {
        let name = name.and_then(|name| name.to_str());
        name.is_some_and(|name| unused.contains(name))
    };
    let mut kept = Vec::new();
    let mut rest = arguments.iter().peekable();
    while let Some(argument) = rest.next() {
        if argument == OsStr::new("--export") && is_unused(rest.peek().copied()) {
            rest.next();
        } else {
            kept.push(argument);
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(text: &str) -> Vec<OsString> {
        text.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn an_unused_export_goes_and_every_other_argument_stays() {
        let given = arguments(
            "-flavor wasm --export fetch_25b59070de574185 --export init_64cc4b2d035528c7 \
             --export __wbg_r2range_free_a2da2770ce18e2ef --export __wbindgen_malloc -o out.wasm",
        );
        let kept = arguments(
            "-flavor wasm --export fetch_25b59070de574185 --export init_64cc4b2d035528c7 \
             --export __wbindgen_malloc -o out.wasm",
        );
        assert_eq!(
            without_unused(&given).unwrap(),
            kept.iter().collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_file_of_arguments_is_left_alone() {
        let given = arguments("-flavor wasm @arguments");
        assert_eq!(
            without_unused(&given).unwrap(),
            given.iter().collect::<Vec<_>>()
        );
    }
}
