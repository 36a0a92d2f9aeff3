//! `cargo xtask bundle`: the size of the Worker and of each optional feature, raw and compressed, and the budget.

use std::{fmt::Display, fs, io::Write, path::Path};

use anyhow::{Context, Result, bail};
use clap::Args;
use flate2::{Compression, write::GzEncoder};

use crate::{
    build::{self, Feature, Features, parse_features},
    setup,
    workspace::Workspace,
};

/// The maximum size in bytes of wasm and JavaScript together (1 KB is 1000 bytes).
const BUDGET: Size = Size {
    raw: 368_000,
    gzip: 162_000,
};

#[derive(Args)]
pub(crate) struct Options {
    /// Build the Worker with every feature only, and fail if its size exceeds its budget
    #[arg(long)]
    check: bool,
    /// The optional features to measure, separated by commas; default: all
    #[arg(long, value_name = "FEATURES", value_parser = parse_features, conflicts_with = "check")]
    features: Option<Features>,
}

/// Builds the Worker and prints the table.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    setup::for_worker(workspace)?;
    if options.check {
        return check(workspace);
    }
    let features = options.features.as_deref().unwrap_or(&Feature::ALL);
    let measured = |features: &[Feature], name: &str| {
        let folder = format!("bundle/{name}");
        Parts::of(&build::variant(workspace, features, &folder)?)
    };
    let smallest = measured(&[], "none")?;
    let mut singles = Vec::new();
    for feature in features {
        singles.push((feature.name(), measured(&[*feature], feature.name())?));
    }
    let whole = measured(features, "together")?;
    header();
    row("no feature", smallest.together());
    for (name, parts) in singles {
        added(name, parts.together(), smallest.together());
    }
    row("together", whole.together());
    row("  index.wasm", whole.code);
    row("  index.js", whole.script);
    row("budget", BUDGET);
    Ok(())
}

/// Compares the Worker in target/worker, with every feature, with its budget.
fn check(workspace: &Workspace) -> Result<()> {
    build::worker(workspace)?;
    let worker = Parts::of(&workspace.worker())?;
    header();
    row("index.wasm", worker.code);
    row("index.js", worker.script);
    row("together", worker.together());
    row("budget", BUDGET);
    if !worker.together().fits(BUDGET) {
        bail!("the Worker exceeds its size budget");
    }
    Ok(())
}

fn header() {
    cells("", "raw", "gzip");
}

fn row(name: &str, size: Size) {
    cells(name, kilobytes(size.raw), kilobytes(size.gzip));
}

/// The difference that one feature makes.
fn added(name: &str, with: Size, without: Size) {
    cells(
        &format!("  + {name}"),
        difference(with.raw, without.raw),
        difference(with.gzip, without.gzip),
    );
}

fn cells(name: &str, raw: impl Display, gzip: impl Display) {
    println!("{name:<16}{raw:>12}{gzip:>12}");
}

fn difference(with: usize, without: usize) -> String {
    if with < without {
        format!("-{}", kilobytes(without - with))
    } else {
        kilobytes(with - without)
    }
}

/// The two files of a built Worker.
struct Parts {
    code: Size,
    script: Size,
}

impl Parts {
    fn of(folder: &Path) -> Result<Self> {
        Ok(Self {
            code: Size::of(&folder.join("index.wasm"))?,
            script: Size::of(&folder.join("index.js"))?,
        })
    }

    const fn together(&self) -> Size {
        Size {
            raw: self.code.raw + self.script.raw,
            gzip: self.code.gzip + self.script.gzip,
        }
    }
}

#[derive(Clone, Copy)]
struct Size {
    raw: usize,
    gzip: usize,
}

impl Size {
    fn of(file: &Path) -> Result<Self> {
        let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&bytes)?;
        Ok(Self {
            raw: bytes.len(),
            gzip: encoder.finish()?.len(),
        })
    }

    fn fits(self, budget: Self) -> bool {
        self.raw <= budget.raw && self.gzip <= budget.gzip
    }
}

fn kilobytes(bytes: usize) -> String {
    format!("{}.{} KB", bytes / 1000, bytes % 1000 / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_equal_to_the_budget_passes_and_one_more_byte_fails() {
        assert!(BUDGET.fits(BUDGET));
        assert!(
            !Size {
                raw: BUDGET.raw + 1,
                ..BUDGET
            }
            .fits(BUDGET)
        );
        assert!(
            !Size {
                gzip: BUDGET.gzip + 1,
                ..BUDGET
            }
            .fits(BUDGET)
        );
    }

    #[test]
    fn a_smaller_build_has_a_negative_difference() {
        assert_eq!(difference(3_000, 1_000), "2.0 KB");
        assert_eq!(difference(1_000, 3_000), "-2.0 KB");
    }

    #[test]
    fn a_kilobyte_has_a_thousand_bytes() {
        assert_eq!(kilobytes(400_000), "400.0 KB");
        assert_eq!(kilobytes(1_999), "1.9 KB");
        assert_eq!(kilobytes(99), "0.0 KB");
    }
}
