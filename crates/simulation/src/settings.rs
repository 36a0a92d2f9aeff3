//! The settings of the simulated hosts.

use std::time::Duration;

use portcullis_core::limit::quotas::Quotas;
use portcullis_service::settings::{Issuing, Mailing, PasswordRules, Sessions, Settings};
use portcullis_service::settings::{LimitFailMode, Limits};

use crate::host::{ATTEMPTS, PER};
use crate::mutation::Mutation;
use crate::world::{AUDIENCE, ISSUER};

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
            require_verified: false,
        },
        limits: Limits {
            quotas: Quotas::parse(&format!(
                "login_email={ATTEMPTS}/{per}, login_device={ATTEMPTS}/{per}, login_address=60/{per}",
                per = PER.as_secs()
            ))
            .expect("quotas"),
            fail_mode: LimitFailMode::Closed,
        },
    }
}
