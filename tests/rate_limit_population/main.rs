//! Three days of users who log in, with and without an attack: the share of legitimate logins that
//! a limit rejects, and the attackers' gain. Use cases and quotas are the host's own; only the rows
//! are in memory. Every run is the same:
//!
//!     cargo test -p portcullis-tests --test rate_limit_population -- --nocapture

mod population;
mod store;

use portcullis_host::config::Config;
use portcullis_host::host::{Host, HostOptions};
use portcullis_service::settings::Settings;

use crate::population::{Attack, PopulationReport, run};

const SECONDS_A_DAY: u64 = 86_400;
const DAYS: u64 = 3;
const SEED: u64 = 20_261_123;
const ATTACKED_RUNS: u64 = 4;

/// The settings of a host with the default limits.
fn settings() -> Settings {
    let variables = [
        ("PORTCULLIS_LISTEN", "127.0.0.1:0"),
        ("PORTCULLIS_ISSUER", "https://login.example"),
        ("PORTCULLIS_AUDIENCE", "https://api.example"),
        ("PORTCULLIS_SIGNING_KEY_FILE", "never-read"),
        ("PORTCULLIS_HOST_SECRET_FILE", "never-read"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "AKIDSIMULATION"),
        ("AWS_SECRET_ACCESS_KEY", "never-used"),
    ];
    let config = Config::read(|name| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).into())
    });
    let host = Host::new(config.expect("whole"), HostOptions::default());
    host.expect("entropy").settings
}

fn tell(name: &str, report: &PopulationReport) {
    println!(
        "{name}: {} logins of people, {} refused: {:.3} % in all, {:.3} % from known browsers, {:.2} % \
         from unknown ones; {} guesses, {} let through, at most {} an hour for one address",
        report.known.tried + report.unknown.tried,
        report.known.refused + report.unknown.refused,
        100.0 * report.share_refused(),
        100.0 * report.known.share(),
        100.0 * report.unknown.share(),
        report.guesses.tried,
        report.guesses.tried - report.guesses.refused,
        report.most_in_an_hour,
    );
}

#[tokio::test]
async fn limits_reject_less_than_one_in_a_hundred_legitimate_logins() {
    let settings = settings();
    let seconds = DAYS * SECONDS_A_DAY;
    let calm = run(&settings, seconds, Attack::None, SEED).await;
    // One run has some 300 rejected logins: too few for a stable share.
    let mut attacked = PopulationReport::default();
    for seed in SEED..SEED + ATTACKED_RUNS {
        let report = run(&settings, seconds, Attack::Everything, seed).await;
        tell(&format!("under attack, seed {seed}"), &report);
        attacked.add(&report);
    }
    tell("in peace", &calm);
    tell("under attack, all runs", &attacked);
    for report in [&calm, &attacked] {
        assert!(report.known.tried + report.unknown.tried > 5_000, "a crowd");
        assert!(report.share_refused() < 0.01);
        // From a browser that logged in before, under any attack.
        assert!(report.known.share() < 0.001);
    }
    assert!(attacked.guesses.tried > 100_000, "an attack");
    assert!(attacked.most_in_an_hour <= 10);
}
