//! Runs external suites against the JWS layer: JSON lines `{"id", "token", "jwk" or "jwks"}` on
//! standard input, `{"id", "result": "accept" or "reject", "reason"}` on standard output.

use std::io::{Result, stdin, stdout};

use portcullis_tests::judge;

fn main() -> Result<()> {
    judge::lines(stdin().lock(), stdout().lock(), judge::signature)
}
