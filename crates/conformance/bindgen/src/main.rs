//! The build step between `rustc` and the Worker: reads a wasm module with `wasm-bindgen`
//! annotations, and writes the JavaScript bindings and the module without the annotations.
//!
//! It replaces the `wasm-bindgen` command: building this file takes one minute, installing that
//! command takes ten, and its version always equals the one in `Cargo.lock`. `cargo xtask build`
//! runs the steps before and after (compile, shrink, bundle).

use std::{env, ffi::OsString, path::PathBuf};

use anyhow::{Context, Result, bail};
use wasm_bindgen_cli_support::Bindgen;

/// Usage: `portcullis-bindgen MODULE.wasm FOLDER`; writes `FOLDER/bindings.js` and `FOLDER/bindings_bg.wasm`.
fn main() -> Result<()> {
    let [module, folder] = arguments(env::args_os().skip(1))?;
    Bindgen::new()
        .input_path(&module)
        .out_name("bindings")
        .typescript(false)
        .demangle(false)
        // INVARIANT: a trap in a handler leaves an unusable instance behind. The reset function
        // gives `crates/worker/js/worker.js` a new instance, and the abort handler marks the old
        // one as dead.
        .reset_state_function(true)
        .force_enable_abort_handler(true)
        .module(true)?
        .generate(&folder)
        .with_context(|| format!("cannot create bindings for {}", module.display()))
}

fn arguments(given: impl Iterator<Item = OsString>) -> Result<[PathBuf; 2]> {
    let given: Vec<PathBuf> = given.map(PathBuf::from).collect();
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
