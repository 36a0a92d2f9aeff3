//! From spawn to the first answer, under a mock Lambda Runtime API: the optimised host, twenty times.
//!
//! `cargo run --release -q -p portcullis-tests --bin cold-start [-- --check]`; with `--check` it
//! fails over a median of 10 ms.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use portcullis_tests::lambda_runtime::{LambdaRuntime, Posted};
use portcullis_tests::program::{Program, host_program};

const RUNS: usize = 20;
const BUDGET: Duration = Duration::from_millis(10);
const EVENT: &str = include_str!("../../vectors/lambda/function-url.json");

/// Settings of a deployment; nothing of it is called before a login.
const SETTINGS: [(&str, &str); 7] = [
    ("PORTCULLIS_ISSUER", "https://login.example"),
    ("PORTCULLIS_AUDIENCE", "https://api.example"),
    ("PORTCULLIS_SIGNING_SECRET", "portcullis/signing-key"),
    ("PORTCULLIS_HOST_SECRET", "portcullis/host-secret"),
    ("AWS_REGION", "eu-central-1"),
    ("AWS_ACCESS_KEY_ID", "AKIDBENCH"),
    ("AWS_SECRET_ACCESS_KEY", "bench"),
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<ExitCode> {
    let event = EVENT.replace("/my/path", "/health");
    let mut times = Vec::with_capacity(RUNS);
    // The first run reads the program from the disk; it does not count.
    for run in 0..=RUNS {
        let took = cold_start(&event).await?;
        if run > 0 {
            times.push(took);
        }
    }
    times.sort();
    let (least, median, most) = (times[0], times[RUNS / 2], times[RUNS - 1]);
    println!("cold start, spawn to first answer, {RUNS} runs:");
    println!("  least {least:.2?}  median {median:.2?}  most {most:.2?}  budget {BUDGET:?}");
    let over = median > BUDGET && std::env::args().any(|argument| argument == "--check");
    Ok(if over {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "a bench is about the time things take"
)]
async fn cold_start(event: &str) -> anyhow::Result<Duration> {
    let program = host_program(true);
    let mut runtime = LambdaRuntime::start().await?;
    let lambda = runtime.environment();
    let lambda = lambda.iter().map(|(name, value)| (*name, value.as_str()));
    let began = Instant::now();
    let host = Program::start(program, SETTINGS.into_iter().chain(lambda))?;
    let posted = runtime.invoke(event).await?;
    let took = began.elapsed();
    anyhow::ensure!(
        matches!(&posted, Posted::Response(answer) if answer["statusCode"] == 200),
        "{posted:?}"
    );
    drop(host);
    Ok(took)
}
