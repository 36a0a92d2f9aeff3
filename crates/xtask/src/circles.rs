//! Import cycles between the modules of a crate: files in a cycle cannot be read one after the
//! other.
//!
//! A module imports another if its product code contains a path to it from `crate`, `self` or
//! `super`. `mod` declarations and tests do not count. The path parser is textual: it supports
//! `use` trees and inline paths.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::workspace::read;

/// A module's path below the crate root; the root is empty.
type Module = Vec<String>;

/// Each cycle of the crate with sources in `src`, as one line.
pub(crate) fn of_crate(src: &Path) -> Result<Vec<String>> {
    let files = modules(src)?;
    let mut imports = BTreeMap::new();
    for (module, file) in &files {
        imports.insert(module.clone(), imported(module, &read(file)?, &files));
    }
    Ok(circles(&imports)
        .into_iter()
        .map(|circle| {
            let names: Vec<String> = circle.iter().map(name).collect();
            names.join(" <-> ")
        })
        .collect())
}

fn name(module: &Module) -> String {
    if module.is_empty() {
        "the crate root".to_owned()
    } else {
        module.join("::")
    }
}

/// The modules of a crate with their files. Programs in `bin` are separate crates; test modules are
/// left out.
fn modules(src: &Path) -> Result<BTreeMap<Module, PathBuf>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![(src.to_owned(), Module::new())];
    while let Some((folder, parent)) = folders.pop() {
        let entries = fs::read_dir(&folder);
        for entry in entries.with_context(|| format!("cannot list {}", folder.display()))? {
            let path = entry?.path();
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            let child = || parent.iter().cloned().chain([stem.to_string()]).collect();
            if path.is_dir() {
                if stem != "bin" && stem != "tests" {
                    folders.push((path.clone(), child()));
                }
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let is_root = parent.is_empty() && (stem == "lib" || stem == "main");
                match &*stem {
                    "tests" => {}
                    // In a package with a library, the program is a separate crate.
                    "main" if is_root && src.join("lib.rs").exists() => {}
                    "mod" => {
                        found.insert(parent.clone(), path.clone());
                    }
                    _ if is_root => {
                        found.insert(Module::new(), path.clone());
                    }
                    _ => {
                        found.insert(child(), path.clone());
                    }
                }
            }
        }
    }
    Ok(found)
}

/// The modules to which the product code in `source` refers.
fn imported(module: &Module, source: &str, files: &BTreeMap<Module, PathBuf>) -> BTreeSet<Module> {
    paths(&product(source))
        .iter()
        .filter_map(|path| {
            let mut base = module.clone();
            let mut rest = path.iter().map(String::as_str).peekable();
            match rest.peek() {
                Some(&"crate") => base.clear(),
                Some(&"super") => {
                    base.pop();
                }
                Some(&"self") => {}
                _ => return None,
            }
            rest.next();
            while rest.next_if_eq(&"super").is_some() {
                base.pop();
            }
            base.extend(rest.map(str::to_owned));
            // The longest prefix that is a module; the rest is an item in it.
            while !files.contains_key(&base) {
                base.pop()?;
            }
            (base != *module).then_some(base)
        })
        .collect()
}

/// The code without comments and without its test module at the end.
fn product(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut lines = source.lines().peekable();
    while let Some(line) = lines.next() {
        let text = line.trim();
        if text == "#[cfg(test)]" {
            // Only an inline module is dropped; a test-only `use` or `mod x;` is one item.
            let mut item = lines.next().unwrap_or_default().trim();
            while item.starts_with("#[")
                || item == ")]"
                || item.contains(" = \"")
                || item.starts_with("clippy::")
            {
                item = lines.next().unwrap_or_default().trim();
            }
            if item.contains("mod ") && item.ends_with('{') {
                return code;
            }
            continue;
        }
        if !text.starts_with("//") {
            code.push_str(line);
            code.push('\n');
        }
    }
    code
}

/// Every path from `crate`, `self` or `super` in `code`, with `use` trees expanded.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for root in ["crate", "self", "super"] {
        for (at, _) in code.match_indices(&format!("{root}::")) {
            let before = code[..at].chars().next_back();
            if before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':') {
                tree(&code[at..], &[], &mut found);
            }
        }
    }
    found
}

/// Parses one path or tree at the start of `text` below `prefix`; returns the consumed length.
fn tree(text: &str, prefix: &[String], found: &mut Vec<Vec<String>>) -> usize {
    let mut path = prefix.to_vec();
    let mut at = 0;
    loop {
        let rest = &text[at..];
        let word = rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        if word > 0 {
            path.push(rest[..word].to_owned());
            at += word;
            if text[at..].starts_with("::") {
                at += 2;
                continue;
            }
        } else if rest.starts_with('{') {
            at += 1;
            loop {
                at += text[at..].len() - text[at..].trim_start_matches([' ', '\n', ',']).len();
                if text[at..].starts_with('}') || text[at..].is_empty() {
                    return at + 1;
                }
                let taken = tree(&text[at..], &path, found);
                at += taken.max(1);
                // ` as name` belongs to the preceding item.
                if let Some(end) = text[at..].find([',', '}'])
                    && text[at..].starts_with(" as ")
                {
                    at += end;
                }
            }
        }
        found.push(path);
        return at;
    }
}

/// The strongly connected components with more than one module.
fn circles(imports: &BTreeMap<Module, BTreeSet<Module>>) -> Vec<Vec<Module>> {
    let reach: BTreeMap<&Module, BTreeSet<&Module>> = imports
        .keys()
        .map(|module| {
            let mut seen = BTreeSet::new();
            let mut next = vec![module];
            while let Some(current) = next.pop() {
                for other in imports.get(current).into_iter().flatten() {
                    if seen.insert(other) {
                        next.push(other);
                    }
                }
            }
            (module, seen)
        })
        .collect();
    let mut found: Vec<Vec<Module>> = Vec::new();
    for (module, seen) in reach.iter().filter(|(module, seen)| seen.contains(*module)) {
        if found.iter().any(|circle| circle.contains(module)) {
            continue;
        }
        let circle = seen.iter().filter(|other| reach[**other].contains(module));
        found.push(circle.map(|other| (*other).clone()).collect());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crate_of(files: &[(&str, &str)]) -> Vec<String> {
        let modules: BTreeMap<Module, PathBuf> = files
            .iter()
            .map(|(path, _)| (module(path), PathBuf::new()))
            .collect();
        let imports = files.iter().map(|(path, source)| {
            let module = module(path);
            let imported = imported(&module, source, &modules);
            (module, imported)
        });
        circles(&imports.collect())
            .iter()
            .map(|circle| circle.iter().map(name).collect::<Vec<_>>().join(" <-> "))
            .collect()
    }

    fn module(path: &str) -> Module {
        path.split("::")
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn an_import_cycle_is_found_through_use_trees_inline_paths_and_super() {
        let tree = "use crate::{\n    b::{C, D as E},\n    other,\n};\n";
        assert_eq!(
            crate_of(&[
                ("a", tree),
                ("b", "fn x() { crate::a::y() }"),
                ("other", "")
            ]),
            ["a <-> b"]
        );
        assert_eq!(
            crate_of(&[("a", "pub use self::c::X;"), ("a::c", "use super::Y;")]),
            ["a <-> a::c"]
        );
        let three = [
            ("a", "use crate::b::X;"),
            ("b", "use crate::c::X;"),
            ("c", "use crate::a::X;"),
        ];
        assert_eq!(crate_of(&three), ["a <-> b <-> c"]);
    }

    #[test]
    fn declarations_comments_and_tests_are_not_imports() {
        let parent = "mod c;\n// use crate::a::c::X;\n";
        let tests = "#[cfg(test)]\nmod tests {\n    use crate::a::c::X;\n}\n";
        let child = ("a::c", "use super::Y;");
        assert!(crate_of(&[("a", parent), child]).is_empty());
        assert!(crate_of(&[("a", tests), child]).is_empty());
        assert!(crate_of(&[("a", "use other_crate::a::c::X;"), child]).is_empty());
    }

    #[test]
    fn an_import_chain_without_a_way_back_is_not_a_cycle() {
        let chain = [
            ("a", "use crate::b::X;"),
            ("b", "use crate::c::X;"),
            ("c", ""),
        ];
        assert!(crate_of(&chain).is_empty());
    }
}
