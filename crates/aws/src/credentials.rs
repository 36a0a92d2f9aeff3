//! The signing credentials: access keys, and the source in which an adapter replaces them on
//! rotation.

use std::sync::{Arc, PoisonError, RwLock};

use portcullis_core::secret::Secret;

/// An access key of AWS, with the session token of temporary credentials.
#[derive(Clone, Debug)]
pub struct Credentials {
    access_key_id: String,
    secret_access_key: Secret<String>,
    session_token: Option<Secret<String>>,
}

impl Credentials {
    /// A long-lived key.
    pub fn new(access_key_id: impl Into<String>, secret_access_key: Secret<String>) -> Self {
        Self {
            access_key_id: access_key_id.into(),
            secret_access_key,
            session_token: None,
        }
    }

    /// The same key as temporary credentials, valid only together with `session_token`.
    #[must_use]
    pub fn with_session_token(self, session_token: Secret<String>) -> Self {
        Self {
            session_token: Some(session_token),
            ..self
        }
    }

    /// The access key id. It is not secret. The audit entry of an operator's command records it; no
    /// other entry and no log line does.
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    pub(crate) fn secret_access_key(&self) -> &str {
        self.secret_access_key.expose()
    }

    pub(crate) fn session_token(&self) -> Option<&str> {
        self.session_token
            .as_ref()
            .map(|token| token.expose().as_str())
    }
}

/// The current credentials, replaced as a whole on rotation.
///
/// A running request keeps the credentials with which it started.
#[derive(Debug)]
pub struct CredentialSource {
    current: RwLock<Arc<Credentials>>,
}

impl CredentialSource {
    /// Starts with `credentials`, which stay current until [`CredentialSource::replace`].
    pub fn new(credentials: Credentials) -> Self {
        Self {
            current: RwLock::new(Arc::new(credentials)),
        }
    }

    /// The current credentials.
    pub fn current(&self) -> Arc<Credentials> {
        // A writer only stores a pointer, so a poisoned lock still guards a complete value.
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Makes `credentials` the current ones for every request signed from now on.
    pub fn replace(&self, credentials: Credentials) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(credentials);
    }
}

impl From<Credentials> for CredentialSource {
    fn from(credentials: Credentials) -> Self {
        Self::new(credentials)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str) -> Credentials {
        Credentials::new(id, Secret::new("swordfish".to_owned()))
            .with_session_token(Secret::new("open sesame".to_owned()))
    }

    #[test]
    fn replaced_credentials_sign_new_requests_and_a_held_copy_stays_unchanged() {
        let source = CredentialSource::new(key("FIRST"));
        let held = source.current();
        source.replace(key("SECOND"));
        assert_eq!(source.current().access_key_id(), "SECOND");
        assert_eq!(held.access_key_id(), "FIRST");
    }

    #[test]
    fn debug_output_of_credentials_contains_no_secret() {
        let printed = format!("{:?}", CredentialSource::new(key("FIRST")));
        assert!(printed.contains("FIRST"));
        assert!(!printed.contains("swordfish") && !printed.contains("sesame"));
    }
}
