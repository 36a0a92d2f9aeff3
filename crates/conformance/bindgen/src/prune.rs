//! Removes the exports of unused items from a module, before `wasm-bindgen` makes classes and functions of them.
//!
//! The linker has left them out already, where it could; see `link.rs`.

use anyhow::Result;
use walrus::{Export, Module};

use crate::items::unused;

/// Removes the exports.
///
/// # Errors
///
/// Those of [`unused`].
pub(crate) fn prune(module: &mut Module) -> Result<()> {
    let exports: Vec<String> = module
        .exports
        .iter()
        .map(|export| export.name.clone())
        .collect();
    let unused = unused(&exports.iter().map(String::as_str).collect())?;
    let ids: Vec<_> = module
        .exports
        .iter()
        .filter(|export| unused.contains(export.name.as_str()))
        .map(Export::id)
        .collect();
    for id in ids {
        module.exports.delete(id);
    }
    Ok(())
}
