//! `cargo xtask bundle`: compares the size of the Worker, raw and compressed, with its budget.

use std::{fs, io::Write, path::Path};

use anyhow::{Context, Result, bail};
use clap::Args;
use flate2::{Compression, write::GzEncoder};

use crate::{build, setup, workspace::Workspace};

/// The maximum size in bytes of wasm and JavaScript together (1 KB is 1000 bytes).
const BUDGET: Size = Size {
    raw: 310_000,
    gzip: 136_000,
};

#[derive(Args)]
pub(crate) struct Options {
    /// Fail if the size exceeds its budget
    #[arg(long)]
    check: bool,
}

/// Builds the Worker and prints the table.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    setup::for_worker(workspace)?;
    build::worker(workspace)?;
    let code = Size::of(&workspace.worker().join("index.wasm"))?;
    let script = Size::of(&workspace.worker().join("index.js"))?;
    let whole = Size {
        raw: code.raw + script.raw,
        gzip: code.gzip + script.gzip,
    };
    println!("{:<12}{:>12}{:>12}", "", "raw", "gzip");
    for (name, size) in [
        ("index.wasm", code),
        ("index.js", script),
        ("together", whole),
        ("budget", BUDGET),
    ] {
        println!(
            "{name:<12}{:>12}{:>12}",
            kilobytes(size.raw),
            kilobytes(size.gzip)
        );
    }
    if options.check && !whole.fits(BUDGET) {
        bail!("the Worker exceeds its size budget");
    }
    Ok(())
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
    fn a_kilobyte_has_a_thousand_bytes() {
        assert_eq!(kilobytes(400_000), "400.0 KB");
        assert_eq!(kilobytes(1_999), "1.9 KB");
        assert_eq!(kilobytes(99), "0.0 KB");
    }
}
