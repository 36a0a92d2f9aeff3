//! `cargo xtask build`: the Worker, as `target/worker/index.js` and `index.wasm`.
//!
//! Four tools in a row, each pinned by this repository: `rustc`, `wasm-bindgen` (as a library, in
//! `crates/bindgen`), `wasm-opt` and `esbuild`. The last three are left out when what goes into them is what
//! went in before.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

use crate::{
    setup::{WASM, fingerprint},
    step::{quietly, step},
    workspace::{Workspace, read},
};

/// What the compiled module may use: what rustc and the bindings make, and nothing newer that workerd might lack.
const FEATURES: [&str; 7] = [
    "--enable-bulk-memory",
    "--enable-exception-handling",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
];

/// Builds the Worker, or finds that it is built.
pub(crate) fn worker(workspace: &Workspace) -> Result<()> {
    let _lock = workspace.lock()?;
    step("compile the Worker", || compile(workspace))?;
    let built = fingerprint(inputs(workspace))?.to_string();
    let stamp = workspace.path("target/worker.stamp");
    let there = ["index.js", "index.wasm"]
        .iter()
        .all(|name| workspace.worker().join(name).exists());
    if there && fs::read_to_string(&stamp).is_ok_and(|before| before == built) {
        return Ok(());
    }
    let staging = workspace.path("target/worker-staging");
    empty(&staging)?;
    step("bind it to JavaScript", || bind(workspace, &staging))?;
    step("shrink it", || shrink(workspace, &staging))?;
    step("bundle it", || bundle(workspace, &staging))?;
    publish(&staging, &workspace.worker())?;
    fs::write(&stamp, built).context("cannot write target/worker.stamp")
}

fn compile(workspace: &Workspace) -> Result<()> {
    let package = ["--package", "portcullis-worker", "--lib"];
    let profile = ["--profile", "wasm", "--target", WASM, "--quiet"];
    quietly(&mut workspace.cargo(["build"].iter().chain(&package).chain(&profile)))
}

fn compiled(workspace: &Workspace) -> PathBuf {
    workspace
        .cargo_target
        .join(WASM)
        .join("wasm/portcullis_worker.wasm")
}

fn inputs(workspace: &Workspace) -> Vec<PathBuf> {
    let ours = [
        "crates/worker/js/worker.js",
        "crates/bindgen/src/main.rs",
        "crates/xtask/src/build.rs",
    ];
    let theirs = ["package-lock.json"];
    let mut inputs = vec![compiled(workspace)];
    inputs.extend(ours.iter().chain(&theirs).map(|name| workspace.path(name)));
    inputs
}

fn bind(workspace: &Workspace, staging: &Path) -> Result<()> {
    let mut bindgen = workspace.cargo(["run", "--quiet", "--package", "portcullis-bindgen", "--"]);
    quietly(bindgen.arg(compiled(workspace)).arg(staging))
}

fn shrink(workspace: &Workspace, staging: &Path) -> Result<()> {
    let mut wasm_opt = workspace.node("binaryen/bin/wasm-opt");
    wasm_opt
        .arg(staging.join("bindings_bg.wasm"))
        .arg("-Oz")
        .args(FEATURES);
    quietly(wasm_opt.arg("-o").arg(staging.join("index.wasm")))
}

fn bundle(workspace: &Workspace, staging: &Path) -> Result<()> {
    // The bindings import the module in the source phase, which workerd's module loader has no need of: a plain
    // import gives a `WebAssembly.Module` there.
    let bindings = staging.join("bindings.js");
    let text = read(&bindings)?;
    let plain = text.replacen(
        r#"import source wasmModule from "./bindings_bg.wasm""#,
        r#"import wasmModule from "./index.wasm""#,
        1,
    );
    ensure!(
        text != plain,
        "the bindings import their module in a way that is not known here"
    );
    fs::write(&bindings, plain)?;
    fs::copy(
        workspace.path("crates/worker/js/worker.js"),
        staging.join("worker.js"),
    )?;
    let mut esbuild = workspace.node("esbuild/bin/esbuild");
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

/// Moves the finished files in whole, so that whoever reads the folder meets no half-written one.
fn publish(staging: &Path, finished: &Path) -> Result<()> {
    fs::create_dir_all(finished)?;
    for name in ["index.wasm", "index.js"] {
        fs::rename(staging.join(name), finished.join(name))
            .with_context(|| format!("cannot put {name} into {}", finished.display()))?;
    }
    Ok(())
}

fn empty(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
}
