//! The use cases: the steps between a request and its response, on any platform.
//!
//! Each use case is one async function over the [`ports`] and the [`store`]. It reads the store,
//! applies the rules of `portcullis-core`, writes the result and returns. No rule is decided here.
//!
//! The first step of a request at the edge needs only the policy:
//!
//! ```
//! use portcullis_core::denial::Denial;
//! use portcullis_core::gate::Gate;
//! use portcullis_core::policy::Policy;
//! use portcullis_service::edge::route::route_request;
//!
//! let policy = r#"{
//!     "issuers": [{"issuer": "https://login.example", "audience": "https://api.example",
//!                  "algorithms": ["EdDSA"], "keys": "document", "profile": "at+jwt"}],
//!     "routes": [{"path": "/public/*", "access": "open"},
//!                {"path": "/*", "access": "token"}]
//! }"#;
//! let gate = Gate::new(Policy::parse(policy, None)?);
//!
//! let routed = route_request(&gate, "GET", "/orders", Some("Bearer a.b.c")).expect("a route and a token");
//! assert_eq!((routed.path.as_str(), routed.token), ("/orders", Some("a.b.c")));
//!
//! let denied = route_request(&gate, "GET", "/orders", None).map(drop);
//! assert!(matches!(denied, Err((Denial::MissingToken, Some(_)))));
//! # Ok::<(), portcullis_core::policy::PolicyError>(())
//! ```

pub mod administer;
mod announce;
pub mod audit_trail;
pub mod authenticate;
pub mod change_password;
pub mod client_auth;
pub mod context;
pub mod edge;
mod end_session;
pub mod error;
pub mod factor;
mod feed;
pub mod import;
pub mod issue_token;
pub mod join_all;
pub mod limit;
pub mod login;
pub mod logout;
pub mod logout_all;
pub mod mailing;
pub mod me;
pub mod open_session;
pub mod pack;
pub mod ports;
mod reauthenticate;
pub mod refresh;
pub mod refused_sites;
pub mod register;
pub mod revoke;
pub mod rotate;
pub mod screen;
pub mod sessions;
pub mod settings;
pub mod signing;
pub mod snapshot;
pub mod store;
mod verify;

#[cfg(test)]
mod test_support {
    use core::future::Future;
    use core::pin::pin;
    use core::task::{Context, Poll, Waker};
    use core::time::Duration;

    use portcullis_core::account_claims::AccountClaims;

    use crate::settings::Limits;
    use crate::settings::{Issuing, Mailing, PasswordRules, Sessions, Settings};

    /// Settings for tests.
    pub(crate) fn settings() -> Settings {
        Settings {
            limits: Limits::default(),
            new_account_claims: AccountClaims::default(),
            issuing: Issuing {
                issuer: "https://us".to_owned(),
                audience: "api".to_owned(),
                resources: Vec::new(),
                account_audience: "api".to_owned(),
                client_id: "web".to_owned(),
                lifetime: Duration::from_secs(600),
            },
            sessions: Sessions::default(),
            passwords: PasswordRules::default(),
            mailing: Mailing {
                service_name: "Acme".to_owned(),
                verify_page: "https://us/verify".to_owned(),
                reset_page: "https://us/reset".to_owned(),
                unlock_page: "https://us/unlock".to_owned(),
                verify_lifetime: Duration::from_secs(3_600),
                reset_lifetime: Duration::from_secs(1_800),
                unlock_lifetime: Duration::from_secs(1_800),
                invite_lifetime: Duration::from_secs(1_800),
                require_verified: true,
                smtputf8: false,
            },
        }
    }

    /// The output of `future`, which is ready at once with a store in memory.
    pub(crate) fn ready<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("a test store never waits"),
        }
    }
}
