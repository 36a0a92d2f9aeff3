//! `cargo xtask build`: the Worker, as `target/worker/index.js` and `index.wasm`.
//!
//! Four tools in sequence, each pinned by this repository: `rustc`, `wasm-bindgen` (as a library,
//! in `crates/conformance/bindgen`), `wasm-opt` and `esbuild`. The last three are skipped if their
//! input has not changed.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::{
    node, prerequisites,
    setup::{self, WASM, fingerprint},
    step::{quietly, step},
    workspace::{Workspace, read},
};

/// The allowed wasm features: those of rustc and the bindings, and no newer ones that workerd might
/// not support.
const FEATURES: [&str; 7] = [
    "--enable-bulk-memory",
    "--enable-exception-handling",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
];

/// How `wasm-opt` shrinks. No flag here assumes that the module does not trap.
const SHRINKING: [&str; 7] = [
    // Values that a place can have in the whole program; before the passes of -Oz.
    "--gufa",
    "-Oz",
    "--converge",
    // The first kilobyte is the end of the stack, which grows down to address 0 (rust-lld's `--stack-first`):
    // an address computed below 0 traps, and never wraps around to valid memory.
    "--low-memory-unused",
    // A large function called once stays a function: inlined, it compresses worse by a hundredth.
    "--one-caller-inline-max-function-size=15",
    "--strip-producers",
    "--strip-target-features",
];

/// An optional feature of the Worker, under its name in `crates/worker/Cargo.toml`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Feature {
    /// Packs of the revocation feed
    Packs,
    /// Revocation lookups of single tokens
    Lookup,
    /// The platform's rate limit
    RateLimit,
    /// The metrics of an isolate
    Metrics,
    /// Assertions to the origin by a private key
    AssertionKeys,
    /// WebSockets, and streams that end with their token
    Websocket,
}

impl Feature {
    pub(crate) const ALL: [Self; 6] = [
        Self::Packs,
        Self::Lookup,
        Self::RateLimit,
        Self::Metrics,
        Self::AssertionKeys,
        Self::Websocket,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Packs => "packs",
            Self::Lookup => "lookup",
            Self::RateLimit => "rate-limit",
            Self::Metrics => "metrics",
            Self::AssertionKeys => "assertion-keys",
            Self::Websocket => "websocket",
        }
    }
}

/// A module for workerd.
struct Module {
    package: &'static str,
    /// Arguments of cargo for the features; none selects the default features.
    features: Vec<String>,
    /// The output folder, below `target`.
    folder: String,
    called: String,
}

#[derive(Args)]
pub(crate) struct Options {
    /// Build the test corpus module instead, into target/corpus-worker
    #[arg(long)]
    corpus: bool,
    /// The optional features of the Worker, separated by commas; an empty list selects none
    #[arg(long, value_name = "FEATURES", value_parser = parse_features, conflicts_with = "corpus")]
    features: Option<Features>,
}

/// The value of `--features`.
pub(crate) type Features = Box<[Feature]>;

/// Parses names separated by commas.
pub(crate) fn parse_features(text: &str) -> Result<Features, String> {
    let names = text
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty());
    names
        .map(|name| {
            let mut all = Feature::ALL.into_iter();
            all.find(|feature| feature.name() == name).ok_or_else(|| {
                let all = Feature::ALL.map(Feature::name).join(", ");
                format!("{name} is not one of {all}")
            })
        })
        .collect()
}

/// Installs the build tools, and builds.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    setup::for_worker(workspace)?;
    match &options.features {
        _ if options.corpus => corpus(workspace),
        Some(features) => Module::worker(features, "worker").build(workspace),
        None => worker(workspace),
    }
}

/// Builds the Worker with every feature, unless it is up to date.
pub(crate) fn worker(workspace: &Workspace) -> Result<()> {
    Module::worker(&Feature::ALL, "worker").build(workspace)
}

/// Builds the Worker with `features` into a folder below `target`, unless it is up to date, and returns the folder.
pub(crate) fn variant(
    workspace: &Workspace,
    features: &[Feature],
    folder: &str,
) -> Result<PathBuf> {
    Module::worker(features, folder).build(workspace)?;
    Ok(workspace.path("target").join(folder))
}

/// Builds the module with the test corpus for workerd, unless it is up to date.
pub(crate) fn corpus(workspace: &Workspace) -> Result<()> {
    let corpus = Module {
        package: "portcullis-corpus-worker",
        features: Vec::new(),
        folder: "corpus-worker".to_owned(),
        called: "the corpus".to_owned(),
    };
    corpus.build(workspace)
}

impl Module {
    fn worker(features: &[Feature], folder: &str) -> Self {
        let is_full = Feature::ALL
            .iter()
            .all(|feature| features.contains(feature));
        let names: Vec<&str> = features.iter().map(|feature| feature.name()).collect();
        let (features, called) = if is_full {
            (Vec::new(), "the Worker".to_owned())
        } else {
            let listed = ["entry"].iter().chain(&names).copied();
            let listed: Vec<&str> = listed.collect();
            let arguments = ["--no-default-features", "--features", &listed.join(",")];
            let called = match names.as_slice() {
                [] => "the Worker without features".to_owned(),
                names => format!("the Worker with {}", names.join(", ")),
            };
            (arguments.map(str::to_owned).into(), called)
        };
        Self {
            package: "portcullis-worker",
            features,
            folder: folder.to_owned(),
            called,
        }
    }

    fn build(&self, workspace: &Workspace) -> Result<()> {
        let _lock = workspace.lock()?;
        let called = &self.called;
        step(&format!("compile {called}"), || self.compile(workspace))?;
        let built = fingerprint(self.inputs(workspace))?.to_string();
        let below = |name: &str| workspace.path("target").join(name);
        let finished = below(&self.folder);
        let stamp = below(&format!("{}.stamp", self.folder));
        let there = ["index.js", "index.wasm"]
            .iter()
            .all(|name| finished.join(name).exists());
        if there && fs::read_to_string(&stamp).is_ok_and(|before| before == built) {
            return Ok(());
        }
        let staging = below(&format!("{}-staging", self.folder));
        empty(&staging)?;
        step(&format!("bind {called} to JavaScript"), || {
            self.bind(workspace, &staging)
        })?;
        step(&format!("shrink {called}"), || shrink(workspace, &staging))?;
        step(&format!("bundle {called}"), || bundle(workspace, &staging))?;
        publish(&staging, &finished)?;
        fs::write(&stamp, built).with_context(|| format!("cannot write {}", stamp.display()))
    }

    fn compile(&self, workspace: &Workspace) -> Result<()> {
        // `cdylib` alone: with `rlib` beside it cargo leaves link-time optimisation out, and a tenth more is kept.
        let package = ["--package", self.package, "--lib", "--crate-type", "cdylib"];
        let profile = ["--profile", "wasm", "--target", WASM, "--quiet"];
        quietly(&mut workspace.cargo(["build", "--quiet", "--package", "portcullis-bindgen"]))?;
        let mut rustc = workspace.cargo(["rustc"].iter().chain(&package).chain(&profile));
        rustc.args(&self.features);
        rustc.env("CARGO_ENCODED_RUSTFLAGS", flags(workspace)?);
        quietly(rustc.args(["--", "-C"]).arg(linker(workspace)))
    }

    fn compiled(&self, workspace: &Workspace) -> PathBuf {
        let file = format!("{}.wasm", self.package.replace('-', "_"));
        workspace.cargo_target.join(WASM).join("wasm").join(file)
    }

    fn inputs(&self, workspace: &Workspace) -> Vec<PathBuf> {
        let ours = [
            "crates/worker/js/worker.js",
            "crates/conformance/bindgen/src/main.rs",
            "crates/conformance/bindgen/src/items.rs",
            "crates/conformance/bindgen/src/prune.rs",
            "crates/conformance/bindgen/src/script.rs",
            "crates/xtask/src/build.rs",
        ];
        let theirs = ["package-lock.json"];
        let mut inputs = vec![self.compiled(workspace)];
        inputs.extend(ours.iter().chain(&theirs).map(|name| workspace.path(name)));
        inputs
    }

    fn bind(&self, workspace: &Workspace, staging: &Path) -> Result<()> {
        let mut bindgen =
            workspace.cargo(["run", "--quiet", "--package", "portcullis-bindgen", "--"]);
        quietly(bindgen.arg(self.compiled(workspace)).arg(staging))
    }
}

/// Our own program before the linker: it leaves unused exports out.
fn linker(workspace: &Workspace) -> OsString {
    let mut linker = OsString::from("linker=");
    linker.push(workspace.binary("portcullis-bindgen"));
    linker
}

/// The caller's own flags for rustc, one for a small SHA-256, and those that keep the paths of this machine out of
/// the module. A panic's message names its source file: with the path to `~/.cargo` in it, the module's size depends
/// on who builds.
fn flags(workspace: &Workspace) -> Result<OsString> {
    let encoded = env::var_os("CARGO_ENCODED_RUSTFLAGS").filter(|flags| !flags.is_empty());
    let mut flags: Vec<OsString> = match encoded {
        Some(encoded) => vec![encoded],
        None => env::var("RUSTFLAGS")
            .unwrap_or_default()
            .split_whitespace()
            .map(OsString::from)
            .collect(),
    };
    let sources = prerequisites::cargo_home()
        .context("neither CARGO_HOME nor a home directory is known")?
        .join("registry/src");
    let mut folders = vec![setup::sysroot(workspace)?.join("lib/rustlib/src/rust/library")];
    // One folder for each registry.
    for registry in fs::read_dir(&sources).into_iter().flatten() {
        folders.push(registry?.path());
    }
    // SHA-256 as a loop: 8 KB less, and 0.3 µs instead of 0.2 µs for an identifier, 4.5 instead of 3.0 for a request.
    flags.extend(["--cfg", r#"sha2_backend_soft="compact""#].map(OsString::from));
    for folder in folders {
        let mut flag = OsString::from("--remap-path-prefix=");
        flag.push(folder.join(""));
        flag.push("=");
        flags.push(flag);
    }
    Ok(flags.join(OsStr::new("\u{1f}")))
}

fn shrink(workspace: &Workspace, staging: &Path) -> Result<()> {
    let mut wasm_opt = node::script(workspace, "binaryen/bin/wasm-opt");
    wasm_opt
        .arg(staging.join("bindings_bg.wasm"))
        .args(SHRINKING)
        .args(FEATURES);
    quietly(wasm_opt.arg("-o").arg(staging.join("index.wasm")))
}

fn bundle(workspace: &Workspace, staging: &Path) -> Result<()> {
    // The bindings import the module in the source phase, which workerd's module loader does not
    // need: a plain import yields a `WebAssembly.Module` there.
    let bindings = staging.join("bindings.js");
    let text = read(&bindings)?;
    let plain = text.replacen(
        r#"import source wasmModule from "./bindings_bg.wasm""#,
        r#"import wasmModule from "./index.wasm""#,
        1,
    );
    ensure!(
        text != plain,
        "the bindings import their module in an unknown way"
    );
    fs::write(&bindings, plain)?;
    fs::copy(
        workspace.path("crates/worker/js/worker.js"),
        staging.join("worker.js"),
    )?;
    let mut esbuild = node::script(workspace, "esbuild/bin/esbuild");
    esbuild
        .arg(staging.join("worker.js"))
        .arg(format!("--outfile={}", staging.join("index.js").display()));
    let format = [
        "--bundle",
        "--format=esm",
        "--minify",
        "--log-level=warning",
    ];
    let outside = ["--external:./index.wasm", "--external:cloudflare:*"];
    quietly(esbuild.args(format.iter().chain(&outside)))
}

/// Moves the finished files in as a whole, so that a reader of the folder never sees a partial
/// file.
fn publish(staging: &Path, finished: &Path) -> Result<()> {
    fs::create_dir_all(finished)?;
    for name in ["index.wasm", "index.js"] {
        fs::rename(staging.join(name), finished.join(name))
            .with_context(|| format!("cannot move {name} into {}", finished.display()))?;
    }
    Ok(())
}

fn empty(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_names_separated_by_commas() {
        let parsed = |text| parse_features(text).map(|features| features.into_vec());
        assert_eq!(parsed(""), Ok(Vec::new()));
        let some = vec![Feature::Packs, Feature::RateLimit];
        assert_eq!(parsed("packs, rate-limit"), Ok(some));
        assert!(parsed("packs,entry").is_err());
    }

    #[test]
    fn the_worker_has_each_feature_in_its_default_set() {
        let workspace = Workspace::find().unwrap();
        let manifest = read(&workspace.path("crates/worker/Cargo.toml")).unwrap();
        let quoted = Feature::ALL.map(|feature| format!("\"{}\"", feature.name()));
        let default = format!("default = [\"entry\", {}]", quoted.join(", "));
        assert!(manifest.lines().any(|line| line == default), "{default}");
    }
}
