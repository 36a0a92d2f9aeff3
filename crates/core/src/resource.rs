//! Protected resources ([RFC 9728]): the identifier of an API, which is the audience of its tokens
//! ([RFC 8707 §2]), and the metadata by which a client finds the authorization server.
//!
//! [RFC 9728]: https://www.rfc-editor.org/rfc/rfc9728
//! [RFC 8707 §2]: https://www.rfc-editor.org/rfc/rfc8707#section-2

use crate::cors::Origin;
use crate::json::Json;
use crate::path::CanonicalPath;

/// The well-known path of the metadata, before the path of the resource ([RFC 9728 §3.1]).
///
/// [RFC 9728 §3.1]: https://www.rfc-editor.org/rfc/rfc9728#section-3.1
const METADATA: &str = "/.well-known/oauth-protected-resource";

/// A protected resource.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Resource {
    identifier: String,
    /// The identifiers of the resources of twins.
    others: Vec<String>,
    metadata_path: String,
    metadata_url: String,
}

/// The metadata of a resource, which the edge publishes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ResourceMetadata {
    /// The path.
    pub path: String,
    /// The JSON document.
    pub document: String,
}

impl Resource {
    /// Parses an identifier: an https URL, or http on loopback, without user name, query and fragment
    /// ([RFC 9728 §1.2]). Its path is canonical and does not end with a slash, so that clients find one
    /// metadata URL.
    ///
    /// [RFC 9728 §1.2]: https://www.rfc-editor.org/rfc/rfc9728#section-1.2
    pub fn parse(identifier: &str) -> Option<Self> {
        let (scheme, rest) = identifier.split_once("://")?;
        let start = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(start)?;
        let origin = format!("{scheme}://{authority}");
        // In the spelling of browsers, because audiences are compared exactly.
        let canonical = Origin::parse(&origin).is_some_and(|parsed| parsed.is(&origin));
        let has_path = !path.is_empty();
        let canonical_path = CanonicalPath::parse(path).is_ok_and(|read| read.as_str() == path);
        if !canonical || has_path && (!canonical_path || path.ends_with('/')) {
            return None;
        }
        let metadata_path = format!("{METADATA}{path}");
        Some(Self {
            identifier: identifier.to_owned(),
            others: Vec::new(),
            metadata_url: format!("{origin}{metadata_path}"),
            metadata_path,
        })
    }

    /// The identifier, which is the audience of its tokens.
    pub fn identifier(&self) -> &str {
        &self.identifier
    }

    /// This resource and `other`: a token needs the audiences of both.
    #[must_use]
    pub fn joined(&self, other: &Self) -> Self {
        let mut joined = self.clone();
        for identifier in other.identifiers() {
            if !joined.identifiers().any(|own| own == identifier) {
                joined.others.push(identifier.to_owned());
            }
        }
        joined
    }

    /// Whether the audience of a token contains each identifier.
    pub fn is_in(&self, audience: &[String]) -> bool {
        self.identifiers()
            .all(|identifier| audience.iter().any(|name| name == identifier))
    }

    fn identifiers(&self) -> impl Iterator<Item = &str> {
        let others = self.others.iter().map(String::as_str);
        core::iter::once(self.identifier.as_str()).chain(others)
    }

    /// The path of its metadata.
    pub fn metadata_path(&self) -> &str {
        &self.metadata_path
    }

    /// The URL of its metadata, for the challenge ([RFC 9728 §5.1]).
    ///
    /// [RFC 9728 §5.1]: https://www.rfc-editor.org/rfc/rfc9728#section-5.1
    pub fn metadata_url(&self) -> &str {
        &self.metadata_url
    }

    /// Its metadata ([RFC 9728 §2]): the issuers of its tokens, and the scopes that its routes name.
    ///
    /// [RFC 9728 §2]: https://www.rfc-editor.org/rfc/rfc9728#section-2
    pub fn metadata(&self, issuers: &[&str], scopes: &[&str]) -> ResourceMetadata {
        let list = |names: &[&str]| Json::Array(names.iter().copied().map(Json::from).collect());
        let mut document = format!(
            r#"{{"resource":{},"authorization_servers":{},"bearer_methods_supported":["header"]"#,
            Json::quote(&self.identifier),
            list(issuers),
        );
        if !scopes.is_empty() {
            document.push_str(&format!(r#","scopes_supported":{}"#, list(scopes)));
        }
        document.push('}');
        ResourceMetadata {
            path: self.metadata_path.clone(),
            document,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metadata_url_has_the_well_known_part_between_host_and_path() {
        for (identifier, url) in [
            (
                "https://api.example",
                "https://api.example/.well-known/oauth-protected-resource",
            ),
            (
                "https://api.example:8443/mcp",
                "https://api.example:8443/.well-known/oauth-protected-resource/mcp",
            ),
            (
                "http://127.0.0.1:8787/a/b",
                "http://127.0.0.1:8787/.well-known/oauth-protected-resource/a/b",
            ),
        ] {
            let resource = Resource::parse(identifier).expect(identifier);
            assert_eq!(resource.metadata_url(), url);
            assert!(url.ends_with(resource.metadata_path()));
            assert_eq!(resource.identifier(), identifier);
        }
    }

    #[test]
    fn joined_resources_need_every_audience() {
        let resource = |text: &str| Resource::parse(text).expect("a resource");
        let (one, two) = (resource("https://a.example"), resource("https://b.example"));
        let both = one.joined(&two).joined(&one).joined(&two);
        let audience = |names: &[&str]| {
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>()
        };
        assert!(both.is_in(&audience(&["https://b.example", "x", "https://a.example"])));
        for less in [&["https://a.example"][..], &["https://b.example"], &[]] {
            assert!(!both.is_in(&audience(less)), "{less:?}");
        }
        assert!(one.is_in(&audience(&["https://a.example"])));
        assert_eq!(both.metadata_url(), one.metadata_url());
    }

    #[test]
    fn an_identifier_in_another_spelling_is_rejected() {
        for bad in [
            "",
            "api.example",
            "http://api.example",
            "https://api.example/",
            "https://api.example/mcp/",
            "https://api.example/mcp?x=1",
            "https://api.example/mcp#x",
            "https://api.example/a/../b",
            "https://api.example/%61",
            "https://api.example//a",
            "https://API.example/mcp",
            "https://api.example:443/mcp",
            "https://user@api.example/mcp",
            "https://api.example\\mcp",
            "urn:example:api",
        ] {
            assert_eq!(Resource::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_metadata_lists_issuers_and_scopes_as_rfc_9728_names_them() {
        let resource = Resource::parse("https://api.example/mcp").expect("a resource");
        let published = resource.metadata(&["https://login.example"], &["read", "a\"b"]);
        assert_eq!(published.path, "/.well-known/oauth-protected-resource/mcp");
        assert_eq!(
            published.document,
            concat!(
                r#"{"resource":"https://api.example/mcp","authorization_servers":["https://login.example"],"#,
                r#""bearer_methods_supported":["header"],"scopes_supported":["read","a\"b"]}"#
            )
        );
        let bare = resource.metadata(&[], &[]);
        assert!(Json::parse(bare.document.as_bytes()).is_ok());
        assert!(!bare.document.contains("scopes_supported"));
    }
}
