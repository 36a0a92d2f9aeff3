//! Rotation: replaces the signing key in the four steps of Secrets Manager.
//!
//! INVARIANT: each step checks the current state first, so it may be repeated, or aborted between
//! any two calls. No step waits: `sign_from` and `ends_at` in the key document tell hosts and edges
//! when to act.

mod error;
pub mod manual;
pub mod ports;
pub mod revoke;

use portcullis_core::account_claims::AccountClaims;
use portcullis_core::audit::{AuditEvent, AuditKind, KeyAct};
use portcullis_core::id::Id;
use portcullis_core::keys::document::KeyDocument;
use portcullis_core::keys::rotation::{
    RotationBounds, SignWith, TooEarly, check_can_start, sign_with,
};
use portcullis_core::revocation::WRITE_BOUND;
use portcullis_core::secret::Secret;
use portcullis_core::session::Methods;
use portcullis_core::time::UnixTime;
use portcullis_core::token::algorithm::Algorithm;
use portcullis_core::token::draft::AccessTokenDraft;
use portcullis_core::token::jws::Jws;
use portcullis_core::token::signature::{SignatureCheck, SignatureVerdict};

use crate::context::ServiceContext;
use crate::ports::{Clock as _, SecureRandom as _, SignError, SignatureVerifier as _, Signer as _};
pub use crate::rotate::error::RotateError;
use crate::rotate::ports::RotationPorts;
use crate::signing::key_factory::KeyFactory;
use crate::signing::secret::{
    SecretChangeStore as _, SecretStore as _, Stage, Stages, VersionSelector,
};
use crate::store::{KeyChangeStore as _, KeyStore as _, WriteOutcome};

/// The attempts to change the document, after a concurrent change or a slow write.
const MAX_ATTEMPTS: usize = 8;

/// One of the four steps, in their order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// Creates the key.
    Create,
    /// Publishes the key.
    Set,
    /// Signs a test token and verifies it under the published key.
    Test,
    /// Makes the version current.
    Finish,
}

/// The context, ports and settings of a rotation.
#[derive(Debug)]
pub struct Rotation<'a, P: RotationPorts> {
    /// The context. Its client address is the actor of the rotation, as the audit trail records it.
    pub context: ServiceContext<'a, P::Store, P::Random>,
    /// The versions of the secret.
    pub secret: &'a P::Secret,
    /// The key factory.
    pub factory: &'a P::Factory,
    /// The verifier of the test signature.
    pub signatures: &'a P::Signatures,
    /// The clock, read again at every write that depends on the time.
    pub clock: &'a P::Clock,
    /// How long hosts, edges and third parties cache keys.
    pub bounds: RotationBounds,
    /// The algorithm of new keys.
    pub algorithm: Algorithm,
}

/// The keys of the two versions of the secret that hosts sign with.
#[derive(Debug, Default)]
struct StagedKeyIds {
    current: Option<String>,
    previous: Option<String>,
}

impl StagedKeyIds {
    /// The predecessor of the next key: the current key, unless it was revoked or has an end while
    /// the previous key has none. That happens after an emergency, and after manual changes of the
    /// stages.
    fn predecessor(&self, document: &KeyDocument) -> Option<&str> {
        let (current, previous) = (self.current.as_deref(), self.previous.as_deref());
        let stands = |id: &&str| document.find(id).is_some();
        let is_open = |id: &&str| {
            let key = document.find(id);
            key.is_some_and(|key| key.ends_at.is_none())
        };
        let by_rank = [
            current.filter(is_open),
            previous.filter(is_open),
            current.filter(stands),
            previous.filter(stands),
        ];
        by_rank.into_iter().flatten().next().or(current)
    }
}

impl<P: RotationPorts> Rotation<'_, P> {
    /// Runs `step` for the version `token`.
    ///
    /// # Errors
    ///
    /// [`RotateError`]; the step may be repeated.
    pub async fn step(&self, step: Step, token: &str) -> Result<(), RotateError> {
        let request_id = key_id_of(token)?;
        let stages = self.secret.stages().await?;
        // The first version of a secret becomes current as soon as it has a value, every other one
        // in the last step.
        let is_current = stages.has(token, Stage::Current);
        match step {
            Step::Finish => self.finish(token, &stages, &request_id).await,
            Step::Create if is_current => Ok(()),
            Step::Create => self.create(token, &stages, &request_id).await,
            Step::Set | Step::Test if !is_current && !stages.has(token, Stage::Pending) => {
                Err(RotateError::NotPending)
            }
            Step::Set => self.set(token, &stages, &request_id).await,
            Step::Test => self.test(token, is_current).await,
        }
    }

    async fn create(
        &self,
        token: &str,
        stages: &Stages,
        request_id: &Id,
    ) -> Result<(), RotateError> {
        if stages.has(token, Stage::Pending) && self.value(token).await?.is_some() {
            return Ok(());
        }
        let staged = self.staged(stages).await?;
        let document = self.context.store.key_document().await?;
        // A rotation that was aborted in its last step left the old key without an end.
        let predecessor = staged.predecessor(&document);
        let document = self
            .retire_predecessors(predecessor, document, request_id)
            .await?;
        self.check_can_start(&document, &staged)?;
        let key = self.factory.make(self.algorithm);
        let key = key.map_err(|_invalid| RotateError::NotMade)?;
        match self
            .secret
            .put_pending(token, &self.factory.write(&key))
            .await?
        {
            // A concurrent run of this step was faster; its key serves as well.
            WriteOutcome::Applied | WriteOutcome::Conflict => Ok(()),
        }
    }

    async fn set(&self, token: &str, stages: &Stages, request_id: &Id) -> Result<(), RotateError> {
        let pending = self.pending(token).await?;
        let staged = self.staged(stages).await?;
        for _ in 0..MAX_ATTEMPTS {
            let document = self.context.store.key_document().await?;
            let id = pending.key().id().ok_or(RotateError::NoKey)?;
            if stages.has(token, Stage::Current) && was_published(&document, id) {
                return Ok(());
            }
            if document.is_revoked(id) {
                return Err(RotateError::KeyRevoked);
            }
            if !stages.has(token, Stage::Current) {
                self.check_can_start(&document, &staged)?;
            }
            let now = self.clock.now();
            let bridged = self.signs(&document, &staged, now) != SignWith::Neither;
            let Some(next) = document.publishing(pending.key(), bridged, &self.bounds, now) else {
                return document
                    .find(id)
                    .map(|_| ())
                    .ok_or(RotateError::NotPublished);
            };
            let done = self.change(&next, KeyAct::Publish, request_id).await?;
            // INVARIANT: `sign_from` counts from a stamp shortly before the write.
            if done == WriteOutcome::Applied && self.clock.now() <= now.plus(WRITE_BOUND) {
                return Ok(());
            }
        }
        Err(RotateError::Contended)
    }

    async fn test(&self, token: &str, is_current: bool) -> Result<(), RotateError> {
        let pending = self.pending(token).await?;
        let document = self.context.store.key_document().await?;
        let id = pending.key().id().ok_or(RotateError::NoKey)?;
        if document.is_revoked(id) {
            // It was revoked after its rotation had finished.
            return is_current.then_some(()).ok_or(RotateError::KeyRevoked);
        }
        let published = document.find(id).ok_or(RotateError::NotPublished)?;
        let token = self.test_token(&pending)?;
        let jws = Jws::parse(&token).map_err(|_denial| RotateError::DoesNotVerify)?;
        let check = SignatureCheck::new(&jws, &published.key);
        let check = check.map_err(|_denial| RotateError::DoesNotVerify)?;
        match self.signatures.check(&check).await {
            Ok(SignatureVerdict::Valid) => Ok(()),
            Ok(SignatureVerdict::Invalid) | Err(_) => Err(RotateError::DoesNotVerify),
        }
    }

    /// Makes the version current at once: hosts sign with the previous one until `sign_from`.
    async fn finish(
        &self,
        token: &str,
        stages: &Stages,
        request_id: &Id,
    ) -> Result<(), RotateError> {
        let pending = self.pending(token).await?;
        let id = pending.key().id().ok_or(RotateError::NoKey)?;
        let document = self.context.store.key_document().await?;
        if stages.has(token, Stage::Current) {
            if !was_published(&document, id) {
                return Err(RotateError::NotPublished);
            }
        } else {
            if !stages.has(token, Stage::Pending) {
                return Err(RotateError::NotPending);
            }
            if document.is_revoked(id) {
                return Err(RotateError::KeyRevoked);
            }
            let is_open = document.find(id).filter(|key| key.ends_at.is_none());
            is_open.ok_or(RotateError::NotPublished)?;
            let staged = self.staged(stages).await?;
            // INVARIANT: the signing version keeps one of the two stages. Another rotation may have
            // finished since this one began, and two changes in a row would take the stage from the
            // signing version.
            self.check_can_start(&document, &staged)?;
            let current = self.repair_stages(&document, &staged, stages).await?;
            self.secret.promote(current, token).await?;
        }
        self.retire_predecessors(Some(id), document, request_id)
            .await?;
        Ok(())
    }

    /// Returns the current version, after making it that of the predecessor key. If the predecessor
    /// is the previous version, it must not lose its stage.
    async fn repair_stages<'s>(
        &self,
        document: &KeyDocument,
        staged: &StagedKeyIds,
        stages: &'s Stages,
    ) -> Result<Option<&'s str>, RotateError> {
        let current = stages.version(Stage::Current);
        let predecessor = staged.predecessor(document);
        match stages.version(Stage::Previous) {
            Some(previous) if predecessor.is_some() && predecessor != staged.current.as_deref() => {
                self.secret.promote(current, previous).await?;
                Ok(Some(previous))
            }
            Some(_) | None => Ok(current),
        }
    }

    fn check_can_start(
        &self,
        document: &KeyDocument,
        staged: &StagedKeyIds,
    ) -> Result<(), TooEarly> {
        let now = self.clock.now();
        if self.signs(document, staged, now) == SignWith::Neither {
            // No reader to wait for, and no signing version that could lose its stage.
            return Ok(());
        }
        check_can_start(document, staged.predecessor(document), &self.bounds, now)
    }

    /// Sets the end of every key before the current one. Returns the changed document; `document`
    /// is the last one read.
    async fn retire_predecessors(
        &self,
        current: Option<&str>,
        mut document: KeyDocument,
        request_id: &Id,
    ) -> Result<KeyDocument, RotateError> {
        let Some(current) = current else {
            return Ok(document);
        };
        for _ in 0..MAX_ATTEMPTS {
            let now = self.clock.now();
            let Some(next) = document.retiring(current, &self.bounds, now) else {
                return Ok(document);
            };
            if self.change(&next, KeyAct::Rotate, request_id).await? == WriteOutcome::Applied {
                return Ok(next);
            }
            document = self.context.store.key_document().await?;
        }
        Err(RotateError::Contended)
    }

    async fn change(
        &self,
        document: &KeyDocument,
        act: KeyAct,
        request_id: &Id,
    ) -> Result<WriteOutcome, RotateError> {
        // The version identifies the request, so a retry of the step recognises its own write.
        let event = AuditEvent {
            at: self.clock.now(),
            request_id: request_id.clone(),
            ..self.context.event(AuditKind::KeysChanged(act), None)?
        };
        Ok(self
            .context
            .store
            .change_keys(document, None, &event)
            .await?)
    }

    fn signs(&self, document: &KeyDocument, staged: &StagedKeyIds, now: UnixTime) -> SignWith {
        let lifetime = self.bounds.token_lifetime;
        let (current, previous) = (staged.current.as_deref(), staged.previous.as_deref());
        sign_with(document, current, previous, lifetime, now)
    }

    async fn pending(&self, token: &str) -> Result<<P::Factory as KeyFactory>::Key, RotateError> {
        let value = self.value(token).await?.ok_or(RotateError::NotCreated)?;
        let key = self.factory.read(&value);
        key.map_err(|_invalid| RotateError::NoKey)
    }

    async fn value(&self, id: &str) -> Result<Option<Secret<String>>, RotateError> {
        let version = self.secret.version(VersionSelector::Id(id)).await?;
        Ok(version.map(|version| version.value))
    }

    /// The ids of the keys that hosts hold. An unreadable key counts as absent: a rotation replaces
    /// it.
    async fn staged(&self, stages: &Stages) -> Result<StagedKeyIds, RotateError> {
        Ok(StagedKeyIds {
            current: self.key_id(stages.version(Stage::Current)).await?,
            previous: self.key_id(stages.version(Stage::Previous)).await?,
        })
    }

    async fn key_id(&self, version: Option<&str>) -> Result<Option<String>, RotateError> {
        let Some(version) = version else {
            return Ok(None);
        };
        let value = self.value(version).await?;
        let key = value.and_then(|value| self.factory.read(&value).ok());
        Ok(key.and_then(|key| key.key().id().map(str::to_owned)))
    }

    /// A token signed by `key` that no service accepts.
    fn test_token(&self, key: &<P::Factory as KeyFactory>::Key) -> Result<String, RotateError> {
        let (Some(algorithm), Some(key_id)) = (key.key().algorithm(), key.key().id()) else {
            return Err(SignError.into());
        };
        let draft = AccessTokenDraft {
            issuer: "urn:portcullis:rotation".to_owned(),
            subject: self.context.random.id()?,
            audience: "urn:portcullis:nobody".to_owned(),
            client_id: "portcullis-rotation".to_owned(),
            token_id: self.context.random.id()?,
            session_id: self.context.random.id()?,
            generation: 0,
            authenticated_at: UnixTime::default(),
            methods: Methods::default(),
            issued_at: UnixTime::default(),
            lifetime: core::time::Duration::from_secs(1),
            account: AccountClaims::default(),
        };
        let input = draft.signing_input(algorithm, key_id);
        let signature = key.sign(input.as_bytes())?;
        Ok(input.with_signature(&signature).expose().clone())
    }
}

/// Whether the key called `id` is in the document, or was and has been revoked.
fn was_published(document: &KeyDocument, id: &str) -> bool {
    document.find(id).is_some() || document.is_revoked(id)
}

/// The token as the identifier of a request.
fn key_id_of(token: &str) -> Result<Id, RotateError> {
    let fits = (32..=64).contains(&token.len());
    let name = Id::parse(token).ok().filter(|_| fits);
    name.ok_or(RotateError::Token)
}

#[cfg(test)]
mod tests;
