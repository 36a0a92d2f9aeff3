//! The key source of a simulated host: two reads of the secret, which may fall before and after a
//! change.

use std::sync::Arc;

use portcullis_core::audit::{AuditEvent, AuditKind};
use portcullis_core::id::Id;
use portcullis_core::root_keys::{Purpose, RootKeys};
use portcullis_core::time::UnixTime;
use portcullis_service::ports::SecureRandom as _;
use portcullis_service::rotate::ports::{KeyFactory as _, KeyFactoryError, Stage};
use portcullis_service::signing::{SigningEvent, SigningKeySource, Version};
use portcullis_service::store::StoreError;
use thiserror::Error;

use crate::crypto::SimKey;
use crate::store::View;
use crate::world::World;

/// The reason why a version contains no key.
#[derive(Debug, Error)]
pub(crate) enum Keyless {
    #[error(transparent)]
    Secret(#[from] StoreError),
    #[error(transparent)]
    Key(#[from] KeyFactoryError),
}

/// The secret as one call reads it.
pub(super) struct SimSigningKeys<'a> {
    pub(super) world: &'a World,
    pub(super) host: &'a str,
    pub(super) root_keys: &'a RootKeys,
    pub(super) secrets: &'a View,
    pub(super) now: UnixTime,
    pub(super) request_id: &'a Id,
}

impl SigningKeySource for SimSigningKeys<'_> {
    type Key = SimKey;
    type Error = Keyless;

    async fn version(&self, stage: Stage) -> Result<Option<Version<SimKey, Keyless>>, Keyless> {
        let secrets = self.secrets;
        let Some((id, kept)) = secrets.value_at(stage).await? else {
            return Ok(None);
        };
        let key = secrets.world.read(&kept);
        Ok(Some(Version {
            id,
            key: key.map(Arc::new).map_err(Keyless::Key),
        }))
    }

    fn is_sole_holder(&self) -> bool {
        false
    }

    async fn event(&self, kind: AuditKind) -> Result<AuditEvent, Keyless> {
        Ok(AuditEvent {
            id: self.world.id().expect("chance"),
            at: self.now,
            kind,
            user_id: None,
            session_id: None,
            client_address: "host".to_owned(),
            request_id: self.request_id.clone(),
            sealer: self.root_keys.sealer(Purpose::Audit),
        })
    }

    fn on_event(&self, notice: SigningEvent<'_, Keyless>) {
        let name = self.host;
        self.world.tell(|| format!("{name}: {notice:?}"));
    }
}
