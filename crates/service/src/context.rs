//! What a use case of the host works with besides what was asked.

use portcullis_core::audit::{AuditEvent, AuditKind};
use portcullis_core::id::Id;
use portcullis_core::root_keys::{Purpose, RootKeys};

use crate::ports::{NoEntropy, RequestMeta, SecureRandom};
use crate::settings::Settings;

/// The store, chance, the host's secrets and settings, and the call that is being answered.
#[derive(Debug)]
pub struct ServiceContext<'a, S, C> {
    /// Everything that is kept.
    pub store: &'a S,
    /// What draws names and secrets.
    pub chance: &'a C,
    /// The host's own secrets.
    pub vault: &'a RootKeys,
    /// What the operator chose.
    pub settings: &'a Settings,
    /// The call that is being answered.
    pub call: &'a RequestMeta,
}

// Only references: a copy is as good as the original, whatever they refer to.
impl<S, C> Clone for ServiceContext<'_, S, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S, C> Copy for ServiceContext<'_, S, C> {}

impl<S, C: SecureRandom> ServiceContext<'_, S, C> {
    /// A line for the audit trail about this call.
    pub(crate) fn event(
        &self,
        kind: AuditKind,
        user_id: Option<&Id>,
    ) -> Result<AuditEvent, NoEntropy> {
        Ok(AuditEvent {
            id: self.chance.id()?,
            at: self.call.now,
            kind,
            user_id: user_id.cloned(),
            session_id: None,
            client_address: self.call.client_address.clone(),
            request_id: self.call.request_id.clone(),
            sealer: self.vault.sealer(Purpose::Audit),
        })
    }

    /// A line about a session.
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
