//! A closed span of the feed with so many revoked tokens, packed: one line of JSON for each pack
//! and one for the span, to test an edge with.
//!
//! `cargo run -q -p portcullis-tests --bin revoked-million -- <names> <from> <to> <until>`, times in
//! seconds since 1970; the tokens are `t0`, `t1` and so on.

use std::io::{BufWriter, Write as _, stdout};

use anyhow::Context as _;
use data_encoding::BASE64;
use portcullis_core::revocation::{Pack, PackName, Revocation, RevocationTarget};
use portcullis_core::time::UnixTime;
use serde_json::json;

fn main() -> anyhow::Result<()> {
    let numbers: Result<Vec<u64>, _> = std::env::args().skip(1).map(|text| text.parse()).collect();
    let [names, from, to, until] = numbers?
        .try_into()
        .ok()
        .context("wants <names> <from> <to> <until>")?;
    let revocations: Vec<_> = (0..names)
        .map(|number| Revocation {
            target: RevocationTarget::Token(format!("t{number}")),
            until: UnixTime::from_secs(until),
        })
        .collect();
    let pack = Pack::of(&revocations, UnixTime::from_secs(from));
    let kept = pack.len();
    let mut out = BufWriter::new(stdout().lock());
    let mut parts = Vec::new();
    for part in pack.into_parts_that_fit() {
        let bytes = part.to_bytes();
        let name = PackName::of(&bytes).to_string();
        writeln!(
            out,
            "{}",
            json!({"name": name, "bytes": BASE64.encode(&bytes)})
        )?;
        parts.push(name);
    }
    let span = json!({"from": from, "to": to, "until": until, "names": kept, "parts": parts});
    writeln!(out, "{span}")?;
    out.flush()?;
    Ok(())
}
