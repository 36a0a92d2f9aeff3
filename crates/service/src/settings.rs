//! What the operator of a host chose. A door reads it from its configuration.

use core::time::Duration;

/// Everything that is the operator's to choose.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How access tokens are made out.
    pub issuing: Issuing,
}

/// How the access tokens of this host are made out.
#[derive(Clone, Debug)]
pub struct Issuing {
    /// `iss`.
    pub issuer: String,
    /// `aud`.
    pub audience: String,
    /// `client_id`.
    pub client_id: String,
    /// How long each is good for.
    pub lifetime: Duration,
}
