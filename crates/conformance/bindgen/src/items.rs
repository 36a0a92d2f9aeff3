//! Which exports of the module come from `#[wasm_bindgen]` items that our JavaScript never uses.
//!
//! Every such item of every linked crate is exported: the `worker` crate brings five classes that our handler
//! never hands to JavaScript. An export keeps its item's code, and all that this code refers to, in the module.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};

/// The items that make up the Worker: its handler, and the `worker` crate's start function, which installs the
/// panic hook and the abort handler.
const KEPT: [&str; 2] = ["fetch", "init"];

/// An item is exported a second time with this prefix: a function that `wasm-bindgen` runs for the item's
/// signature, and then removes.
const DESCRIBE: &str = "__wbindgen_describe_";

/// The exports to leave out, out of all.
///
/// # Errors
///
/// One of [`KEPT`] is exported never or twice: names are made in another way than this file knows.
pub(crate) fn unused<'n>(exports: &BTreeSet<&'n str>) -> Result<BTreeSet<&'n str>> {
    let items: BTreeSet<&str> = exports
        .iter()
        .copied()
        .filter(|name| !name.starts_with(DESCRIBE) && item(name).is_some())
        .collect();
    for kept in KEPT {
        let found = items.iter().filter(|name| item(name) == Some(kept)).count();
        ensure!(found == 1, "{found} exports are called {kept}");
    }
    // Imports have a signature too; those are not exported without the prefix, and stay.
    let belongs_to_unused = |name: &str| {
        let name = name.strip_prefix(DESCRIBE).unwrap_or(name);
        items.contains(name) && item(name).is_some_and(|item| !KEPT.contains(&item))
    };
    let exports = exports.iter().copied();
    Ok(exports.filter(|name| belongs_to_unused(name)).collect())
}

/// The name of an exported item; `None` for an export of the runtime. `wasm-bindgen` appends an underscore and
/// the hash of the crate, 16 hexadecimal digits, to an item's name.
fn item(name: &str) -> Option<&str> {
    let (item, hash) = name.rsplit_once('_')?;
    let is_hash = hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then_some(item)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exports of a module: the Worker's items, an unused one, and the runtime.
    pub(crate) const EXPORTS: [&str; 7] = [
        "fetch_25b59070de574185",
        "__wbindgen_describe_fetch_25b59070de574185",
        "init_64cc4b2d035528c7",
        "__wbg_r2range_free_a2da2770ce18e2ef",
        "__wbindgen_describe___wbg_r2range_free_a2da2770ce18e2ef",
        "__wbindgen_describe___wbg_now_0123456789abcdef",
        "__wbindgen_malloc",
    ];

    #[test]
    fn an_unused_item_goes_with_its_signature_and_nothing_else_goes() {
        let found = unused(&EXPORTS.into()).unwrap();
        assert_eq!(found, [EXPORTS[3], EXPORTS[4]].into());
    }

    #[test]
    fn a_handler_that_is_missing_or_there_twice_stops_the_build() {
        for kept in [EXPORTS[0], EXPORTS[2]] {
            let mut exports: BTreeSet<&str> = EXPORTS.into();
            exports.remove(kept);
            assert!(unused(&exports).is_err(), "{kept}");
        }
        let mut exports: BTreeSet<&str> = EXPORTS.into();
        exports.insert("fetch_0000000000000000");
        assert!(unused(&exports).is_err());
    }
}
