//! The settings of the simulated hosts.

use std::time::Duration;

use portcullis_core::account_claims::AccountClaims;
use portcullis_core::forwarding::HeaderRules;
use portcullis_core::limit::quotas::Quotas;
use portcullis_core::policy::{KeySource, Policy, Staleness, TrustedIssuer};
use portcullis_core::route::Routes;
use portcullis_core::token::algorithm::Algorithm;
use portcullis_service::refused_sites::RefusedSites;
use portcullis_service::settings::{Issuing, Mailing, PasswordRules, Sessions, Settings};
use portcullis_service::settings::{LimitFailMode, Limits};

use crate::bounds::{ATTEMPTS, AUDIENCE, ISSUER, KEYS_HARD, KEYS_SOFT, PER, REVOCATIONS_HARD};
use crate::mutation::Mutation;

pub(crate) fn settings(lifetime: Duration, mutation: Option<Mutation>) -> Settings {
    let hour = Duration::from_secs(3_600);
    let mut sessions = Sessions::default();
    if mutation == Some(Mutation::LongWindow) {
        sessions.grace = Duration::from_secs(20);
    }
    if mutation == Some(Mutation::NoWindow) {
        sessions.grace = Duration::ZERO;
    }
    Settings {
        issuing: Issuing {
            issuer: ISSUER.to_owned(),
            audience: AUDIENCE.to_owned(),
            resources: Vec::new(),
            account_audience: AUDIENCE.to_owned(),
            client_id: "simulation".to_owned(),
            lifetime,
        },
        sessions,
        passwords: PasswordRules::default(),
        mailing: Mailing {
            service_name: "Simulation".to_owned(),
            verify_page: format!("{ISSUER}/verify"),
            reset_page: format!("{ISSUER}/reset"),
            unlock_page: format!("{ISSUER}/unlock"),
            verify_lifetime: hour,
            reset_lifetime: hour,
            unlock_lifetime: hour,
            invite_lifetime: hour,
            require_verified: false,
            smtputf8: false,
        },
        limits: Limits {
            quotas: Quotas::parse(&format!(
                "login_email={ATTEMPTS}/{per}, login_device={ATTEMPTS}/{per}, login_known=32/{per}, \
                 login_known_address=60/{per}, login_address=60/{per}",
                per = PER.as_secs()
            ))
            .expect("quotas"),
            fail_mode: LimitFailMode::Closed,
            refused_sites: RefusedSites::default(),
        },
        new_account_claims: AccountClaims::default(),
    }
}

/// The policy of the edges: the bounds of revocations are the product's own.
pub(crate) fn policy(lifetime: Duration, mutation: Option<Mutation>) -> Policy {
    let secs = Duration::from_secs;
    let hard = if mutation == Some(Mutation::TrustStale) {
        secs(3_600)
    } else {
        REVOCATIONS_HARD
    };
    Policy {
        published: Vec::new(),
        issuers: vec![TrustedIssuer {
            issuer: ISSUER.to_owned(),
            audience: vec![AUDIENCE.to_owned()],
            algorithms: vec![Algorithm::EdDsa],
            keys: KeySource::Document,
            leeway: Duration::ZERO,
            max_lifetime: lifetime,
            max_age: None,
        }],
        routes: Routes::default(),
        revocations: Staleness {
            poll: secs(5),
            soft: secs(10),
            hard,
        },
        keys: Staleness {
            poll: secs(15),
            soft: KEYS_SOFT,
            hard: KEYS_HARD.max(hard),
        },
        headers: HeaderRules::default(),
    }
}
