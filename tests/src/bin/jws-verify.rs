//! Runs outside suites against the JWS layer: JSON lines `{"id", "token", "jwk" or "jwks"}` on
//! standard input, `{"id", "result": "accept" or "reject", "reason"}` on standard output.

use std::io::{Result, stdin, stdout};

fn main() -> Result<()> {
    portcullis_tests::judge_signatures(stdin().lock(), stdout().lock())
}
