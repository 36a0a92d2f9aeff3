//! The signing ports of a simulated host: two reads of the secret, which may fall before and after a
//! change.

use portcullis_core::root_keys::RootKeys;
use portcullis_service::context::ServiceContext;
use portcullis_service::ports::RequestMeta;
use portcullis_service::settings::Settings;
use portcullis_service::signing::{SigningEvent, SigningPorts};
use portcullis_service::store::StoreError;
use thiserror::Error;

use crate::crypto::NoKey;
use crate::store::View;
use crate::world::SimWorld;

/// The reason why a version contains no key.
#[derive(Debug, Error)]
pub(crate) enum Keyless {
    #[error(transparent)]
    Secret(#[from] StoreError),
    #[error(transparent)]
    Key(#[from] NoKey),
}

/// The ports of one call.
pub(super) struct SimSigning<'a> {
    pub(super) world: &'a SimWorld,
    pub(super) host: &'a str,
    pub(super) root_keys: &'a RootKeys,
    pub(super) settings: &'a Settings,
    pub(super) secrets: &'a View,
    pub(super) store: &'a View,
    pub(super) call: RequestMeta,
}

impl SigningPorts for SimSigning<'_> {
    type Secret = View;
    type Factory = SimWorld;
    type Store = View;
    type Random = SimWorld;
    type Error = Keyless;

    fn secret(&self) -> &View {
        self.secrets
    }

    fn factory(&self) -> &SimWorld {
        self.world
    }

    fn store(&self) -> &View {
        self.store
    }

    async fn context(&self) -> Result<ServiceContext<'_, View, SimWorld>, Keyless> {
        Ok(ServiceContext {
            store: self.store,
            random: self.world,
            root_keys: self.root_keys,
            settings: self.settings,
            call: &self.call,
        })
    }

    fn is_sole_holder(&self) -> bool {
        false
    }

    fn on_event(&self, event: SigningEvent<'_, Keyless>) {
        let name = self.host;
        self.world.tell(|| format!("{name}: {event:?}"));
    }
}
