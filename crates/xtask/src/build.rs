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
const SHRINKING: [&str; 6] = [
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

/// A module for workerd.
struct Module {
    package: &'static str,
    /// The output folder, below `target`.
    folder: &'static str,
    called: &'static str,
}

const WORKER: Module = Module {
    package: "portcullis-worker",
    folder: "worker",
    called: "the Worker",
};

/// The module with the test corpus for workerd.
const CORPUS: Module = Module {
    package: "portcullis-corpus-worker",
    folder: "corpus-worker",
    called: "the corpus",
};

#[derive(Args)]
pub(crate) struct Options {
    /// Build the test corpus module instead, into target/corpus-worker
    #[arg(long)]
    corpus: bool,
}

/// Installs the build tools, and builds.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    setup::for_worker(workspace)?;
    if options.corpus {
        corpus(workspace)
    } else {
        worker(workspace)
    }
}

/// Builds the Worker, unless it is up to date.
pub(crate) fn worker(workspace: &Workspace) -> Result<()> {
    WORKER.build(workspace)
}

/// Builds the corpus module, unless it is up to date.
pub(crate) fn corpus(workspace: &Workspace) -> Result<()> {
    CORPUS.build(workspace)
}

impl Module {
    fn build(&self, workspace: &Workspace) -> Result<()> {
        let _lock = workspace.lock()?;
        let called = self.called;
        step(&format!("compile {called}"), || self.compile(workspace))?;
        let built = fingerprint(self.inputs(workspace))?.to_string();
        let below = |name: &str| workspace.path("target").join(name);
        let finished = below(self.folder);
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
