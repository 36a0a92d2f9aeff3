//! Removes exports that no JavaScript of ours calls, before `wasm-bindgen` makes a class or a function of each.
//!
//! Every `#[wasm_bindgen]` item of every linked crate is exported, used or not: the `worker` crate brings five
//! classes that our handler never hands to JavaScript. Without its export an item is dead code, and `wasm-opt`
//! removes it.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use walrus::Module;

/// `wasm-bindgen` exports with these names make up the Worker: its handler, and the `worker` crate's start
/// function, which installs the panic hook and the abort handler.
const KEPT: [&str; 2] = ["fetch", "init"];

/// Exported once per item: run by `wasm-bindgen` for the item's signature, then removed.
const DESCRIBE: &str = "__wbindgen_describe_";

/// Removes the exports of all items but [`KEPT`].
///
/// # Errors
///
/// One of [`KEPT`] is exported never or twice: the naming scheme is another than this file knows.
pub(crate) fn prune(module: &mut Module) -> Result<()> {
    for kept in KEPT {
        let exports = module.exports.iter();
        let found = exports
            .filter(|export| item(&export.name) == Some(kept))
            .count();
        ensure!(found == 1, "{found} exports are called {kept}");
    }
    // The signatures of imports are exported like those of items; their subjects are not exported.
    let unused: BTreeSet<String> = module
        .exports
        .iter()
        .filter(|export| item(&export.name).is_some_and(|item| !KEPT.contains(&item)))
        .filter(|export| !export.name.starts_with(DESCRIBE))
        .map(|export| export.name.clone())
        .collect();
    let unused: Vec<_> = module
        .exports
        .iter()
        .filter(|export| {
            let name = export.name.as_str();
            unused.contains(name.strip_prefix(DESCRIBE).unwrap_or(name))
        })
        .map(walrus::Export::id)
        .collect();
    for export in unused {
        module.exports.delete(export);
    }
    Ok(())
}

/// The name of an exported item; `None` for an export of the runtime. `wasm-bindgen` appends an underscore and
/// the hash of the crate, 16 hexadecimal digits, to an item's name.
fn item(name: &str) -> Option<&str> {
    let (item, hash) = name.rsplit_once('_')?;
    let is_hash = hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then_some(item)
}
