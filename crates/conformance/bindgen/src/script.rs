//! Trims the JavaScript that `wasm-bindgen` wrote, and gives short names to what it shares with the module.
//!
//! The text is searched for the shapes that the pinned version of `wasm-bindgen` writes. An unknown shape is an
//! error: the build stops, and never ships a script that does not fit its module.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use walrus::{ExportId, Module};

/// The name under which the script hands its functions to the module.
const IMPORTS: &str = "./bindings_bg.js";

/// The export that keeps its name: tools that measure a module look for it.
const MEMORY: &str = "memory";

/// All that `crates/worker/js/worker.js` may import.
const PUBLIC: [&str; 2] = ["__wbg_reset_state", "fetch"];

/// Removes the classes. They are empty once [`crate::prune()`] has removed their methods.
///
/// # Errors
///
/// The rest of the script exports other functions than [`PUBLIC`], or a class has no end.
pub(crate) fn without_classes(script: &str) -> Result<String> {
    let mut kept = String::with_capacity(script.len());
    let mut last_line = None;
    for line in script.lines() {
        match last_line {
            Some(end) if line == end => last_line = None,
            Some(_) => {}
            None if line.starts_with("if (Symbol.dispose) ") => {}
            None => match end_of_class_part(line) {
                Some(end) => last_line = Some(end),
                None => kept.extend([line, "\n"]),
            },
        }
    }
    ensure!(last_line.is_none(), "a class has no end");
    let exported = kept.lines().filter_map(|line| line.strip_prefix("export "));
    let mut exported: Vec<&str> = exported
        .map(|rest| rest.trim_start_matches("function "))
        .map(|rest| rest.split([' ', '(']).next().unwrap_or(rest))
        .collect();
    exported.sort_unstable();
    ensure!(exported == PUBLIC, "the script exports {exported:?}");
    Ok(kept)
}

/// The last line of a class or of its finalizer, if `line` is the first one.
fn end_of_class_part(line: &str) -> Option<&'static str> {
    let declaration = line.strip_prefix("export ").unwrap_or(line);
    if declaration.starts_with("class ") {
        Some("}")
    } else if line.starts_with("const ") && line.contains("Finalization = (") {
        Some("});")
    } else {
        None
    }
}

/// Renames imports and exports to `a`, `b` and so on, in the module and in the script; [`MEMORY`] keeps its
/// name. Exports that the script does not use are removed.
///
/// # Errors
///
/// The script lacks an import, or uses an export that the module lacks.
pub(crate) fn shorten(module: &mut Module, script: &str) -> Result<String> {
    let script = shorten_imports(module, script)?;
    shorten_exports(module, &script)
}

fn shorten_imports(module: &mut Module, script: &str) -> Result<String> {
    let short_module = "a";
    let mut script = replace_once(
        script,
        &format!("\"{IMPORTS}\""),
        &format!("\"{short_module}\""),
    )?;
    for (index, import) in module.imports.iter_mut().enumerate() {
        ensure!(
            import.module == IMPORTS,
            "{} is imported from {}",
            import.name,
            import.module
        );
        let short = short_name(index);
        // A member of the object that the script builds, one to a line.
        let member = |name: &str| format!("\n        {name}: ");
        script = replace_once(&script, &member(&import.name), &member(&short))?;
        short_module.clone_into(&mut import.module);
        import.name = short;
    }
    Ok(script)
}

fn replace_once(text: &str, from: &str, to: &str) -> Result<String> {
    let found = text.matches(from).count();
    ensure!(found == 1, "the script holds {from:?} {found} times");
    Ok(text.replacen(from, to, 1))
}

fn shorten_exports(module: &mut Module, script: &str) -> Result<String> {
    let exports = module.exports.iter();
    let mut unused: BTreeMap<String, ExportId> = exports
        .map(|export| (export.name.clone(), export.id()))
        .collect();
    let mut renamed: BTreeMap<String, String> = BTreeMap::new();
    let mut shortened = String::with_capacity(script.len());
    let mut rest = script;
    while let Some((before, after)) = rest.split_once("wasm.") {
        shortened.extend([before, "wasm."]);
        let end = after.find(|c: char| !is_part_of_a_name(c));
        let (name, behind) = after.split_at(end.unwrap_or(after.len()));
        rest = behind;
        if !renamed.contains_key(name) {
            let export = unused.remove(name);
            let export = export.with_context(|| format!("the module does not export {name}"))?;
            let short = match name {
                MEMORY => MEMORY.to_owned(),
                _ => short_name(renamed.len()),
            };
            module.exports.get_mut(export).name.clone_from(&short);
            renamed.insert(name.to_owned(), short);
        }
        shortened.push_str(renamed.get(name).map_or(name, String::as_str));
    }
    shortened.push_str(rest);
    // The object itself is assigned, and not handed on: no other place can use an export.
    let whole = shortened.matches("wasmInstance.exports;").count();
    ensure!(
        whole == shortened.matches(".exports").count() && !shortened.contains("wasm["),
        "the script uses the exports in another way than by name"
    );
    for export in unused.into_values() {
        module.exports.delete(export);
    }
    Ok(shortened)
}

fn is_part_of_a_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '$'
}

/// `a` to `z`, then `ab`, `bb` and so on: the index to the base of 26, least digit first.
fn short_name(mut index: usize) -> String {
    let mut name = String::new();
    loop {
        name.extend(('a'..='z').nth(index % 26));
        index /= 26;
        if index == 0 {
            return name;
        }
    }
}

#[cfg(test)]
mod tests {
    use walrus::{ExportItem, ValType};

    use super::*;

    const CLASS: &str = "export class Unused {\n    free() {\n    }\n}\n\
        if (Symbol.dispose) Unused.prototype[Symbol.dispose] = Unused.prototype.free;\n\
        const UnusedFinalization = (typeof FinalizationRegistry === 'undefined')\n    ? { }\n    : {(\n});\n";
    const REST: &str =
        "export function __wbg_reset_state () {\n}\nexport function fetch(req, env, ctx) {\n}\n";

    #[test]
    fn classes_go_and_functions_stay() {
        assert_eq!(without_classes(&format!("{CLASS}{REST}")).unwrap(), REST);
    }

    #[test]
    fn an_export_that_is_not_known_stops_the_build() {
        assert!(without_classes(&format!("{REST}export const other = 1;\n")).is_err());
        assert!(without_classes("export function fetch(req) {\n}\n").is_err());
        assert!(without_classes(&format!("{REST}class Endless {{\n")).is_err());
    }

    /// A module with an import, an export that is used and one that is not.
    fn module() -> Module {
        let mut module = Module::default();
        let signature = module.types.add(&[], &[ValType::I32]);
        let (function, _) =
            module.add_import_func(IMPORTS, "__wbg_now_0123456789abcdef", signature);
        module.exports.add("used", ExportItem::Function(function));
        module.exports.add(MEMORY, ExportItem::Function(function));
        module.exports.add("unused", ExportItem::Function(function));
        module
    }

    fn script(call: &str) -> String {
        format!(
            "const import0 = {{\n        __wbg_now_0123456789abcdef: function() {{\n{call}\n        }},\n    }};\n\
            return {{ \"{IMPORTS}\": import0 }};\nlet wasm = wasmInstance.exports;\n"
        )
    }

    #[test]
    fn module_and_script_are_given_the_same_names() {
        let mut module = module();
        let script = shorten(&mut module, &script("wasm.used(wasm.used, wasm.memory);")).unwrap();
        assert!(script.contains("\n        a: function()"), "{script}");
        assert!(script.contains("\"a\": import0"), "{script}");
        assert!(script.contains("wasm.a(wasm.a, wasm.memory);"), "{script}");
        let import = module.imports.iter().next().unwrap();
        assert_eq!((import.module.as_str(), import.name.as_str()), ("a", "a"));
        let exports: Vec<&str> = module
            .exports
            .iter()
            .map(|export| export.name.as_str())
            .collect();
        assert_eq!(exports, ["a", MEMORY]);
    }

    #[test]
    fn a_script_that_does_not_fit_its_module_stops_the_build() {
        for call in [
            "wasm.missing();",
            "wasm[name]();",
            "use(wasmInstance.exports);",
        ] {
            assert!(shorten(&mut module(), &script(call)).is_err(), "{call}");
        }
        let without_import = "\"./bindings_bg.js\": import0\n";
        assert!(shorten(&mut module(), without_import).is_err());
    }

    #[test]
    fn short_names_differ() {
        let names: std::collections::BTreeSet<String> = (0..1_000).map(short_name).collect();
        assert_eq!(names.len(), 1_000);
        assert_eq!(
            [0, 25, 26, 27, 675].map(short_name),
            ["a", "z", "ab", "bb", "zz"]
        );
    }
}
