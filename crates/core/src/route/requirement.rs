//! The requirement of a route, and the sum of those that a request must satisfy.

use core::time::Duration;
use std::sync::Arc;

use crate::cors::CorsRules;
use crate::denial::Denial;
use crate::resource::Resource;
use crate::token::claims::Claims;

/// The requirement of a route.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Requirement {
    /// Whether a token is required.
    pub access: Access,
    /// The required scopes; the token needs all of them.
    pub scopes: Vec<String>,
    /// Lists of scopes and of roles; the token needs at least one of each list.
    pub any_of: Vec<AnyOf>,
    /// The maximum age of revocations at which this route still serves, if it is longer than the
    /// policy's hard bound.
    pub serve_stale: Option<Duration>,
    /// The revocation check.
    pub revocation: RevocationMode,
    /// The methods of the route; empty for all methods.
    pub methods: Vec<String>,
    /// The CORS rules that the edge applies; `None` if CORS is left to the origin.
    pub cors: Option<Arc<CorsRules>>,
    /// Whether a client may open a WebSocket.
    pub upgrade: bool,
    /// The resource that the route belongs to, which the token needs as an audience.
    pub resource: Option<Arc<Resource>>,
}

/// Alternatives: a token needs at least one of them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AnyOf {
    /// Scopes.
    Scopes(Vec<String>),
    /// Roles.
    Roles(Vec<String>),
}

/// The revocation check of a route.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum RevocationMode {
    /// By the feed in the snapshot, without a read for this request.
    #[default]
    Feed,
    /// By a lookup of the token's own rows for this request.
    Lookup,
}

/// The access rule.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// Every client; no identity is forwarded.
    Open,
    /// Every client; the identity of an accepted token is forwarded (`"identity": "if_present"`).
    Optional,
    /// Only a client with a valid token.
    Token,
}

impl Requirement {
    /// The requirement of a route that says nothing but `access`.
    pub const fn new(access: Access) -> Self {
        Self {
            access,
            scopes: Vec::new(),
            any_of: Vec::new(),
            serve_stale: None,
            revocation: RevocationMode::Feed,
            methods: Vec::new(),
            cors: None,
            upgrade: false,
            resource: None,
        }
    }

    /// Checks the scopes and roles of a token.
    ///
    /// # Errors
    ///
    /// [`Denial::InsufficientScope`] before [`Denial::InsufficientRole`].
    pub fn check_rights(&self, claims: &Claims) -> Result<(), Denial> {
        let has_scope = |name: &String| claims.scopes.contains(name);
        let has_role = |name: &String| claims.roles.contains(name);
        let mut decided = if self.scopes.iter().all(has_scope) {
            Ok(())
        } else {
            Err(Denial::InsufficientScope)
        };
        for list in &self.any_of {
            match list {
                AnyOf::Scopes(names) if !names.iter().any(has_scope) => {
                    return Err(Denial::InsufficientScope);
                }
                AnyOf::Roles(names) if !names.iter().any(has_role) => {
                    decided = decided.and(Err(Denial::InsufficientRole));
                }
                AnyOf::Scopes(_) | AnyOf::Roles(_) => {}
            }
        }
        decided
    }

    /// The scopes that the route names, separated by spaces: the required ones, and every alternative.
    pub fn named_scopes(&self) -> String {
        let mut named = self.scopes.join(" ");
        for list in &self.any_of {
            if let AnyOf::Scopes(names) = list {
                for name in names {
                    if !named.split(' ').any(|known| known == name) {
                        if !named.is_empty() {
                            named.push(' ');
                        }
                        named.push_str(name);
                    }
                }
            }
        }
        named
    }

    /// Adds the conditions of `other`: the strictest of each counts.
    pub(super) fn add(&mut self, other: &Self) {
        let upgrade = self.upgrade && other.upgrade;
        // SECURITY: rules that differ let no page read the response.
        let cors = if self.cors == other.cors {
            self.cors.take()
        } else {
            Some(Arc::new(CorsRules::for_no_page()))
        };
        match (self.access, other.access) {
            (Access::Open | Access::Token, Access::Open | Access::Optional) => {}
            // SECURITY: an identity is forwarded only if each route forwards one.
            (Access::Optional, Access::Open) | (Access::Open | Access::Optional, Access::Token) => {
                other.clone_into(self);
            }
            (Access::Optional, Access::Optional) => {
                let bounds = self.serve_stale.zip(other.serve_stale);
                self.serve_stale = bounds.map(|(one, two)| one.min(two));
            }
            (Access::Token, Access::Token) => {
                add_missing(&mut self.scopes, &other.scopes);
                // SECURITY: two lists are two conditions, so they are never merged into one.
                add_missing(&mut self.any_of, &other.any_of);
                if let Some(other) = &other.resource {
                    let own = self.resource.take();
                    self.resource = Some(match own {
                        Some(own) if own != *other => Arc::new(own.joined(other)),
                        _ => Arc::clone(other),
                    });
                }
                let bounds = self.serve_stale.zip(other.serve_stale);
                self.serve_stale = bounds.map(|(one, two)| one.min(two));
                // A lookup reads newer revocations than any feed has.
                if other.revocation == RevocationMode::Lookup {
                    self.revocation = RevocationMode::Lookup;
                }
            }
        }
        self.upgrade = upgrade;
        self.cors = cors;
    }
}

fn add_missing<T: Clone + PartialEq>(own: &mut Vec<T>, others: &[T]) {
    for other in others {
        if !own.contains(other) {
            own.push(other.clone());
        }
    }
}

#[cfg(test)]
mod tests;
