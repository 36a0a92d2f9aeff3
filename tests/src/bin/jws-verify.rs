//! Runs external suites against the JWS layer: JSON lines `{"id", "token", "jwk" or "jwks"}` on
//! standard input, `{"id", "result": "accept" or "reject", "reason"}` on standard output.

use std::io::{Result, stdin, stdout};

use portcullis_tests::verifier;

fn main() -> Result<()> {
    verifier::lines(stdin().lock(), stdout().lock(), verifier::signature)
}
