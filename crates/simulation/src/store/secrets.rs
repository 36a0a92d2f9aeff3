//! The one secret with its versions, and the changes of the key document.

use std::rc::Rc;

use portcullis_core::audit::{AuditEvent, AuditKind, KeyAct};
use portcullis_core::keys::document::KeyDocument;
use portcullis_core::revocation::Revocation;
use portcullis_core::secret::Secret;
use portcullis_core::time::UnixTime;
use portcullis_service::signing::secret::{
    SecretChangeStore, SecretStore, SecretVersion, Stage, Stages, VersionSelector,
};
use portcullis_service::store::{KeyChangeStore, StoreError, WriteOutcome};

use super::{Fault, PUBLISHING, View, tell_rows};
use crate::bounds::millis_of;
use crate::mutation::Mutation;
use crate::tables::SimTables;
use crate::world::SimWorld;

impl SecretStore for View {
    type Error = StoreError;

    async fn version(
        &self,
        selector: VersionSelector<'_>,
    ) -> Result<Option<SecretVersion>, StoreError> {
        match selector {
            VersionSelector::Stage(stage) => {
                self.call("reading a version by its stage", move |tables, _| {
                    let id = tables.stages.version(stage)?;
                    version(tables, id)
                })
                .await
            }
            VersionSelector::Id(id) => {
                let id = id.to_owned();
                self.call("reading a version", move |tables, _| version(tables, &id))
                    .await
            }
        }
    }
}

impl SecretChangeStore for View {
    async fn stages(&self) -> Result<Stages, StoreError> {
        self.call("reading the stages", |tables, _| tables.stages.clone())
            .await
    }

    async fn put_pending(
        &self,
        id: &str,
        value: &Secret<String>,
    ) -> Result<WriteOutcome, StoreError> {
        let (id, value) = (id.to_owned(), value.clone());
        self.call("putting a version", move |tables, _| {
            match tables.versions.get(&id) {
                Some(held) if held.expose() != value.expose() => return WriteOutcome::Conflict,
                Some(_) => {}
                None => drop(tables.versions.insert(id.clone(), value)),
            }
            tables.stages.0.insert(Stage::Pending, id);
            WriteOutcome::Applied
        })
        .await
    }

    async fn promote(&self, from: Option<&str>, to: &str) -> Result<(), StoreError> {
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
        revocation: Option<(&Revocation, UnixTime)>,
        event: &AuditEvent,
    ) -> Result<WriteOutcome, StoreError> {
        let (document, event) = (document.clone(), event.clone());
        let revocation = revocation.map(|(revocation, stamp)| (revocation.clone(), stamp));
        if self.world.mutation == Some(Mutation::DropSilently) && revocation.is_some() {
            return Ok(WriteOutcome::Applied);
        }
        let world = Rc::clone(&self.world);
        let operation = if event.kind == AuditKind::KeysChanged(KeyAct::Publish) {
            PUBLISHING
        } else {
            "changing the keys"
        };
        self.call(operation, move |tables, now| {
            if world.mutation == Some(Mutation::KeepRevoked)
                && let Some((revocation, stamp)) = revocation
            {
                tables.revoke(&[revocation], stamp);
                return WriteOutcome::Applied;
            }
            if world.mutation == Some(Mutation::TellNoEnd) && tells_an_end(tables, &document) {
                return WriteOutcome::Applied;
            }
            let rows: Vec<_> = revocation.iter().map(|(row, _)| row.clone()).collect();
            let stamp = revocation.as_ref().map(|(_, stamp)| *stamp);
            let written = tables.change_keys(&document, revocation, &event, now);
            if written == WriteOutcome::Applied {
                tell_document(&world, &document);
                tell_rows(&world, &rows, stamp.unwrap_or_default());
            }
            written
        })
        .await
    }
}

fn version(tables: &SimTables, id: &str) -> Option<SecretVersion> {
    let value = tables.versions.get(id)?.clone();
    Some(SecretVersion {
        id: id.to_owned(),
        value,
    })
}

/// Whether `next` sets the end of a key that has none yet.
fn tells_an_end(tables: &SimTables, next: &KeyDocument) -> bool {
    next.keys().iter().any(|key| {
        let held = key.key.id().and_then(|id| tables.document.find(id));
        key.ends_at.is_some() && held.is_some_and(|held| held.ends_at.is_none())
    })
}

/// The keys of the document from now on, times in seconds since the start.
fn tell_document(world: &SimWorld, document: &KeyDocument) {
    world.tell(|| {
        let keys: Vec<_> = document
            .keys()
            .iter()
            .map(|key| {
                let name = key.key.id().unwrap_or_default();
                let secs = |time| millis_of(time) / 1_000;
                let end = key.ends_at.map(|end| format!(" to {}", secs(end)));
                let end = end.unwrap_or_default();
                format!("{name} signs from {}{end}", secs(key.sign_from))
            })
            .collect();
        format!(
            "store: key document {}: {}",
            document.version(),
            keys.join(", ")
        )
    });
}
