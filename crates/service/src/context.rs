//! The context in which a use case of the host runs.

use portcullis_core::audit::{AuditEvent, AuditKind};
use portcullis_core::id::Id;
use portcullis_core::root_keys::{Purpose, RootKeys};

use crate::ports::{NoEntropy, RequestMeta, SecureRandom};
use crate::settings::Settings;

/// The store, the random source, the host's root keys and settings, and the current request.
#[derive(Debug)]
pub struct ServiceContext<'a, S, C> {
    /// The store.
    pub store: &'a S,
    /// The source of random identifiers and secrets.
    pub random: &'a C,
    /// The root keys of the host.
    pub root_keys: &'a RootKeys,
    /// The operator's settings.
    pub settings: &'a Settings,
    /// The current request.
    pub call: &'a RequestMeta,
}

// Only references, so the copy is valid for all type parameters.
impl<S, C> Clone for ServiceContext<'_, S, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S, C> Copy for ServiceContext<'_, S, C> {}

impl<S, C: SecureRandom> ServiceContext<'_, S, C> {
    /// Returns an audit entry about this request.
    pub(crate) fn event(
        &self,
        kind: AuditKind,
        user_id: Option<&Id>,
    ) -> Result<AuditEvent, NoEntropy> {
        Ok(AuditEvent {
            id: self.random.id()?,
            at: self.call.now,
            kind,
            user_id: user_id.cloned(),
            session_id: None,
            client_address: self.call.client_address.clone(),
            request_id: self.call.request_id.clone(),
            detail: None,
            sealer: self.root_keys.sealer(Purpose::Audit),
        })
    }

    /// Returns an audit entry about a session.
    pub(crate) fn session_event(
        &self,
        kind: AuditKind,
        user_id: &Id,
        session_id: &Id,
    ) -> Result<AuditEvent, NoEntropy> {
        Ok(AuditEvent {
            session_id: Some(session_id.clone()),
            ..self.event(kind, Some(user_id))?
        })
    }
}
