//! The one secret with its versions, and the changes of the key document.

use portcullis_core::audit::AuditEvent;
use portcullis_core::keys::document::KeyDocument;
use portcullis_core::revocation::Revocation;
use portcullis_core::secret::Secret;
use portcullis_core::time::UnixTime;
use portcullis_service::rotate::ports::{KeyChangeStore, SecretStore, Stage, Stages};
use portcullis_service::store::{StoreError, Written};

use super::{Fault, View};
use crate::mutation::Mutation;

impl View {
    /// The version that has `stage`, and its value, in one call.
    pub(crate) async fn value_at(
        &self,
        stage: Stage,
    ) -> Result<Option<(String, Secret<String>)>, StoreError> {
        self.call("reading a version by its stage", move |tables, _| {
            let id = tables.stages.version(stage)?;
            Some((id.to_owned(), tables.versions.get(id)?.clone()))
        })
        .await
    }
}

impl SecretStore for View {
    async fn stages(&self) -> Result<Stages, StoreError> {
        self.call("reading the stages", |tables, _| tables.stages.clone())
            .await
    }

    async fn value(&self, id: &str) -> Result<Option<Secret<String>>, StoreError> {
        let id = id.to_owned();
        self.call("reading a version", move |tables, _| {
            tables.versions.get(&id).cloned()
        })
        .await
    }

    async fn put_pending(&self, id: &str, value: &Secret<String>) -> Result<Written, StoreError> {
        let (id, value) = (id.to_owned(), value.clone());
        self.call("putting a version", move |tables, _| {
            match tables.versions.get(&id) {
                Some(held) if held.expose() != value.expose() => return Written::Conflict,
                Some(_) => {}
                None => drop(tables.versions.insert(id.clone(), value)),
            }
            tables.stages.0.insert(Stage::Pending, id);
            Written::Done
        })
        .await
    }

    async fn put_in_force(&self, from: Option<&str>, to: &str) -> Result<(), StoreError> {
        const MOVING: &str = "moving a stage";
        let (from, to) = (from.map(str::to_owned), to.to_owned());
        let moved = self.call(MOVING, move |tables, _| {
            if tables.stages.version(Stage::Current) != from.as_deref() {
                return false;
            }
            tables.stages.0.insert(Stage::Current, to);
            if let Some(from) = from {
                tables.stages.0.insert(Stage::Previous, from);
            }
            true
        });
        if moved.await? {
            Ok(())
        } else {
            Err(StoreError::new(MOVING, Fault::Refused))
        }
    }
}

impl KeyChangeStore for View {
    async fn change_keys(
        &self,
        document: &KeyDocument,
        called_back: Option<(&Revocation, UnixTime)>,
        event: &AuditEvent,
    ) -> Result<Written, StoreError> {
        let (document, event) = (document.clone(), event.clone());
        let called_back = called_back.map(|(revocation, stamp)| (revocation.clone(), stamp));
        if self.world.mutation == Some(Mutation::DropSilently) && called_back.is_some() {
            return Ok(Written::Done);
        }
        self.call("changing the keys", move |tables, now| {
            tables.change_keys(&document, called_back, &event, now)
        })
        .await
    }
}
