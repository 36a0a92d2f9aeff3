//! Rebuilds the filter of common passwords from its source lists.
//!
//! `make-common-passwords TOP FOLDER FILTER`: takes the passwords of the file TOP, most frequent
//! first, and those of every text file under FOLDER. The same lists give the same filter, byte for
//! byte.

#![expect(clippy::print_stdout, reason = "a terminal program")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context as _, Result, ensure};
use portcullis_common_passwords::{DESCRIPTOR_BYTES, MIN_LISTED_LENGTH, fingerprint};
use sha2::{Digest as _, Sha256};
use xorf::{BinaryFuse16, DmaSerializable, Filter as _};

/// The number of most frequent passwords that are included from [`MIN_LISTED_LENGTH`] characters on.
const MAX_LISTED: usize = 100_000;

/// All listed passwords of at least this length are included. It is the minimum length of a
/// password without a second factor, so shorter ones are rejected anyway.
const LONG: usize = 15;

/// The SHA-256 of TOP.
const TOP_SHA256: &str = "eac6323842b3261da0ef4c180c8e23f4d056522ea97c2925b8687f453b40a2be";

/// The SHA-256 of the text files under FOLDER, concatenated in the order of their paths.
const FOLDER_SHA256: &str = "ecf0da931dc7e92eb51fa8e605969e2c62cbf6197468caefbcc4453909d74ffc";

fn main() -> Result<()> {
    let arguments: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let [top, folder, filter] = arguments.as_slice() else {
        anyhow::bail!("usage: make-common-passwords TOP FOLDER FILTER");
    };
    let top = read_all(std::slice::from_ref(top), TOP_SHA256)?;
    let rest = read_all(&text_files(folder)?, FOLDER_SHA256)?;

    let mut fingerprints = BTreeSet::new();
    for (rank, password) in top.lines().enumerate() {
        let length = password.chars().count();
        if length >= LONG || (length >= MIN_LISTED_LENGTH && rank < MAX_LISTED) {
            fingerprints.insert(fingerprint(password));
        }
    }
    let long = |password: &&str| password.chars().count() >= LONG;
    fingerprints.extend(rest.lines().filter(long).map(fingerprint));

    let fingerprints: Vec<u64> = fingerprints.into_iter().collect();
    let made = BinaryFuse16::try_from(&fingerprints).map_err(anyhow::Error::msg)?;
    ensure!(
        fingerprints.iter().all(|listed| made.contains(listed)),
        "the filter lacks a password of the lists"
    );
    ensure!(
        BinaryFuse16::DESCRIPTOR_LEN == DESCRIPTOR_BYTES,
        "the filter has an unexpected layout"
    );
    let mut bytes = made.dma_fingerprints().to_vec();
    let mut descriptor = [0; DESCRIPTOR_BYTES];
    made.dma_copy_descriptor_to(&mut descriptor);
    bytes.extend_from_slice(&descriptor);
    fs::write(filter, &bytes).with_context(|| format!("cannot write {}", filter.display()))?;
    println!("{} passwords in {} bytes", fingerprints.len(), bytes.len());
    Ok(())
}

/// The complete text of the files, if its digest is `sha256`.
fn read_all(files: &[PathBuf], sha256: &str) -> Result<String> {
    let mut text = Vec::new();
    for file in files {
        let part = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        text.extend_from_slice(&part);
        if !text.ends_with(b"\n") {
            text.push(b'\n');
        }
    }
    let found: String = Sha256::digest(&text)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    ensure!(
        found == sha256,
        "the lists differ from the source of the filter: {found}"
    );
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn text_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let entries = fs::read_dir(folder);
    for entry in entries.with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(text_files(&path)?);
        } else if path.extension().is_some_and(|ending| ending == "txt") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
