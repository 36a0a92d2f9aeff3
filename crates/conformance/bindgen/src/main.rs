//! The build step between `rustc` and the Worker: reads a wasm module with `wasm-bindgen`
//! annotations, and writes the JavaScript bindings and the module without the annotations.
//!
//! It replaces the `wasm-bindgen` command: building this file takes one minute, installing that
//! command takes ten, and its version always equals the one in `Cargo.lock`. `cargo xtask build`
//! runs the steps before and after (compile, shrink, bundle).

mod items;
mod link;
mod prune;
mod script;

use std::{env, ffi::OsString, fs, path::PathBuf};

use anyhow::{Context, Result, bail};
use walrus::ModuleConfig;
use wasm_bindgen_cli_support::Bindgen;

use crate::prune::prune;

/// Usage: `portcullis-bindgen MODULE.wasm FOLDER`; writes `FOLDER/bindings.js` and `FOLDER/bindings_bg.wasm`.
/// Started by rustc as its linker, it links instead.
fn main() -> Result<()> {
    let given: Vec<OsString> = env::args_os().skip(1).collect();
    if given
        .first()
        .is_some_and(|first| first == link::FIRST_ARGUMENT)
    {
        return link::link(&given);
    }
    let [module, folder] = arguments(given)?;
    // Not validated: `wasm-bindgen` does not either, and `wasm-opt` does.
    let mut input = ModuleConfig::new()
        .strict_validate(false)
        .parse_file(&module)
        .with_context(|| format!("cannot read {}", module.display()))?;
    prune(&mut input).with_context(|| format!("cannot prune {}", module.display()))?;
    let mut output = Bindgen::new()
        .input_module("bindings", input)
        .out_name("bindings")
        .typescript(false)
        .demangle(false)
        // INVARIANT: a trap in a handler leaves an unusable instance behind. The reset function
        // gives `crates/worker/js/worker.js` a new instance, and the abort handler marks the old
        // one as dead.
        .reset_state_function(true)
        .force_enable_abort_handler(true)
        .module(true)?
        .generate_output()
        .with_context(|| format!("cannot create bindings for {}", module.display()))?;
    output
        .emit(&folder)
        .with_context(|| format!("cannot write to {}", folder.display()))?;
    let path = folder.join("bindings.js");
    let written = fs::read_to_string(&path).context("cannot read the bindings")?;
    let trimmed = script::without_classes(&written)?;
    let shortened = script::shorten(output.wasm_mut(), &trimmed)?;
    fs::write(&path, shortened).context("cannot write the bindings")?;
    output
        .wasm_mut()
        .emit_wasm_file(folder.join("bindings_bg.wasm"))
        .context("cannot write the module")
}

fn arguments(given: impl IntoIterator<Item = OsString>) -> Result<[PathBuf; 2]> {
    let given: Vec<PathBuf> = given.into_iter().map(PathBuf::from).collect();
    let Ok(paths) = <[PathBuf; 2]>::try_from(given) else {
        bail!("usage: portcullis-bindgen MODULE.wasm FOLDER");
    };
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_two_paths_are_required() {
        let given = |text: &str| arguments(text.split_whitespace().map(OsString::from));
        assert_eq!(
            given("a.wasm out").unwrap(),
            ["a.wasm", "out"].map(PathBuf::from)
        );
        assert!(given("a.wasm").is_err());
        assert!(given("a.wasm out more").is_err());
    }
}
