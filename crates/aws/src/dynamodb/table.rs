//! The layout of both tables: the key of each kind of row, with one constructor for each kind.
//!
//! External text (`jti`, `sid`, `kid`, `iss`, `sub` of foreign tokens) is escaped for a key: `#`
//! and `%` are escaped, so that keys stay unique, and text that is too long is hashed.

use portcullis_core::audit::AuditEvent;
use portcullis_core::email::EmailAddress;
use portcullis_core::id::Id;
use portcullis_core::revocation::{PackName, RevocationTarget};
use portcullis_core::time::UnixTime;
use sha2::{Digest as _, Sha256};

use crate::hash::sha256_hex;

/// The partition key's name in both tables.
pub const PARTITION_KEY: &str = "PK";

/// The sort key's name in both tables.
pub const SORT_KEY: &str = "SK";

/// The TTL attribute by which DynamoDB deletes rows, in seconds since 1970.
pub const TTL: &str = "ttl";

/// The number of partitions of each day of the audit trail.
pub const AUDIT_SHARDS: u32 = 4;

/// The number of partitions of the outbox.
pub const OUTBOX_SHARDS: u32 = 4;

/// The longest external text that a key contains unhashed, in bytes. Two of them with escapes stay
/// below the 2048 bytes that a partition key may have.
const MAX_KEY_PART: usize = 256;

/// The prefix of the partitions of mail domains.
pub(crate) const DOMAINS: &str = "EMAIL#";

/// The partitions of accounts.
pub(crate) const USERS: &str = "USER#";

/// The sort key of an account.
pub(crate) const PROFILE: &str = "PROFILE";

/// The prefix of the sort keys of buckets in a group.
pub(crate) const LIMIT_MEMBER: &str = "MEMBER#";

/// The names of the two tables.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tables {
    /// Users, sessions and the audit trail.
    pub main: String,
    /// The data that the edge may read: revocations, the feed and the key document.
    pub blacklist: String,
}

impl Default for Tables {
    fn default() -> Self {
        Self {
            main: "Portcullis".to_owned(),
            blacklist: "TokenBlacklist".to_owned(),
        }
    }
}

impl Tables {
    pub(crate) const fn name(&self, table: Table) -> &str {
        match table {
            Table::Main => self.main.as_str(),
            Table::Blacklist => self.blacklist.as_str(),
        }
    }
}

/// One of the two tables.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Table {
    /// The table that only hosts read.
    Main,
    /// The table that the edge also reads.
    Blacklist,
}

/// The key of a row.
#[derive(Clone, Eq, PartialEq)]
pub struct Key {
    table: Table,
    partition: String,
    sort: String,
}

impl Key {
    /// The account under an address.
    pub fn user(email: &EmailAddress) -> Self {
        Self::main(format!("{USERS}{}", email.as_str()), PROFILE)
    }

    /// The index from a user id to the account's address: for support, export and erasure.
    pub fn user_by_id(user_id: &Id) -> Self {
        Self::main(format!("ID#{user_id}"), "USER")
    }

    /// The partition of an account and its dependent rows.
    pub(crate) fn user_partition(email: &EmailAddress) -> String {
        format!("{USERS}{}", email.as_str())
    }

    /// Any dependent row of an account, by its sort key.
    pub(crate) fn beside(email: &EmailAddress, sort: &str) -> Self {
        Self::main(Self::user_partition(email), sort)
    }

    /// The partition of the accounts of a mail domain.
    pub(crate) fn domain_partition(domain: &str) -> String {
        format!("{DOMAINS}{domain}")
    }

    /// An account among those of its mail domain.
    pub fn domain(email: &EmailAddress) -> Self {
        let sort = format!("{USERS}{}", email.as_str());
        Self::main(Self::domain_partition(email.domain()), sort)
    }

    /// A login session, next to its account and in the order of opening.
    pub fn session(email: &EmailAddress, opened_at: UnixTime, session_id: &Id) -> Self {
        let sort = format!("SESSION#{opened_at}#{session_id}");
        Self::main(format!("{USERS}{}", email.as_str()), sort)
    }

    /// The TOTP factor of an account. Another kind, of which there may be several, is
    /// `FACTOR#WEBAUTHN#<credential>`.
    pub fn totp(email: &EmailAddress) -> Self {
        Self::main(format!("{USERS}{}", email.as_str()), "FACTOR#TOTP")
    }

    /// The recovery codes of an account.
    pub fn recovery_codes(email: &EmailAddress) -> Self {
        Self::main(format!("{USERS}{}", email.as_str()), "FACTOR#RECOVERY")
    }

    /// The session row to which its locator points; `None` if it points to another kind of row.
    pub fn located_session(partition: &str, sort: &str) -> Option<Self> {
        let is_session = partition.starts_with(USERS) && sort.starts_with("SESSION#");
        is_session.then(|| Self::main(partition.to_owned(), sort))
    }

    /// The index from a session id to the session's row.
    pub fn session_locator(session_id: &Id) -> Self {
        Self::main(format!("SID#{session_id}"), "SESSION")
    }

    /// One entry of the audit trail.
    pub fn audit(event: &AuditEvent) -> Self {
        Self::audit_line(&event.id, event.at)
    }

    /// The key of the entry with the id `id`.
    pub(crate) fn audit_line(id: &Id, at: UnixTime) -> Self {
        let shard = shard(id.as_str(), AUDIT_SHARDS);
        Self::main(Self::audit_partition(at, shard), format!("{at}#{id}"))
    }

    /// One shard of the audit trail's day that contains `at`.
    pub(crate) fn audit_partition(at: UnixTime, shard: u32) -> String {
        format!("AUDIT#{}#{shard}", at.day())
    }

    /// The digest of one shard of a day.
    pub(crate) fn audit_digest(day: UnixTime, shard: u32) -> Self {
        Self::main(format!("DIGEST#{}", day.day()), shard.to_string())
    }

    /// The attempts of one bucket of a rate limit: `name` and `group` are MACs, never an address. The
    /// buckets of a group share a partition, so that an operator can list them.
    pub fn limit(scope: &str, name: &str, group: Option<&str>) -> Self {
        match group {
            None => Self::main(format!("LIMIT#{scope}#{name}"), "WINDOW"),
            Some(group) => Self::main(
                format!("LIMIT#{scope}#{group}"),
                format!("{LIMIT_MEMBER}{name}"),
            ),
        }
    }

    /// A mail to be sent, in the order of its request.
    pub fn outbox(mail_id: &Id, asked_at: UnixTime) -> Self {
        let shard = shard(mail_id.as_str(), OUTBOX_SHARDS);
        Self::main(
            Self::outbox_partition(shard),
            format!("{asked_at}#{mail_id}"),
        )
    }

    /// The partition of one shard of the outbox.
    pub fn outbox_partition(shard: u32) -> String {
        format!("OUTBOX#{shard}")
    }

    /// A decoy row: the same size, deleted after a short time.
    pub fn decoy(name: &Id, sort: &'static str) -> Self {
        Self::main(format!("VAIN#{name}"), sort)
    }

    /// The public keys of this issuer.
    pub fn key_document() -> Self {
        Self::blacklist("KEYS".to_owned(), "JWKS")
    }

    /// One revocation.
    pub fn revocation(target: &RevocationTarget) -> Self {
        let partition = match target {
            RevocationTarget::Token(id) => format!("TOKEN#{}", part(id)),
            RevocationTarget::Session(id) => format!("SESSION#{}", part(id)),
            RevocationTarget::Key(id) => format!("KID#{}", part(id)),
            RevocationTarget::Subject {
                issuer, subject, ..
            } => format!("SUBJECT#{}#{}", part(issuer), part(subject)),
        };
        Self::blacklist(partition, "REVOKED")
    }

    /// The feed row of one revocation, in the feed of the minute of its stamp, which is spread over
    /// `shards` partitions.
    ///
    /// The key depends on the request and the target: a repeated write is the same row, and no
    /// request can overwrite another request's row, even with a reused request id.
    pub fn feed(target: &RevocationTarget, stamp: UnixTime, request_id: &Id, shards: u32) -> Self {
        let id = digest(&format!(
            "{request_id}\n{}",
            Self::revocation(target).partition
        ));
        let partition = Self::feed_partition(stamp, shard(&id, shards));
        Self::blacklist(partition, format!("{stamp}#{id}"))
    }

    /// The partition of one shard of the feed's minute that contains `moment`.
    pub fn feed_partition(moment: UnixTime, shard: u32) -> String {
        format!("FEED#{}#{shard}", moment.minute())
    }

    /// The index of the feed's packs.
    pub fn pack_directory() -> Self {
        Self::blacklist("PACKS".to_owned(), "DIRECTORY")
    }

    /// One pack of the feed.
    pub fn pack(name: &PackName) -> Self {
        Self::blacklist(format!("PACK#{name}"), "PACK")
    }

    /// The table of the key.
    pub const fn table(&self) -> Table {
        self.table
    }

    /// The partition key's value.
    pub fn partition(&self) -> &str {
        &self.partition
    }

    /// The sort key's value.
    pub fn sort(&self) -> &str {
        &self.sort
    }

    fn main(partition: String, sort: impl Into<String>) -> Self {
        Self {
            table: Table::Main,
            partition,
            sort: sort.into(),
        }
    }

    fn blacklist(partition: String, sort: impl Into<String>) -> Self {
        Self {
            table: Table::Blacklist,
            partition,
            sort: sort.into(),
        }
    }
}

// SECURITY: keys contain addresses.
impl core::fmt::Debug for Key {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let kind = self.partition.split('#').next().unwrap_or_default();
        write!(f, "Key({kind}#..)")
    }
}

/// The first 128 bits of a SHA-256, in hex: an attacker cannot find a second text with the same
/// digest.
pub(crate) fn digest(text: &str) -> String {
    sha256_hex(text.as_bytes()).chars().take(32).collect()
}

// INVARIANT: an escaped part has `%` only before `23` or `25`; a hashed part begins with `%h`.
fn part(text: &str) -> String {
    if text.len() > MAX_KEY_PART {
        format!("%h{}", sha256_hex(text.as_bytes()))
    } else {
        text.replace('%', "%25").replace('#', "%23")
    }
}

fn shard(id: &str, shards: u32) -> u32 {
    let hash = Sha256::digest(id.as_bytes());
    hash.first()
        .map_or(0, |byte| u32::from(*byte))
        .checked_rem(shards)
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_core::audit::AuditKind;
    use portcullis_core::root_keys::{Purpose, RootKeys};

    const NOON: UnixTime = UnixTime::from_secs(1_795_435_200);

    fn ada() -> EmailAddress {
        EmailAddress::parse("Ada@Example.com").unwrap()
    }

    fn id(text: &str) -> Id {
        Id::parse(text).unwrap()
    }

    fn lies(key: &Key) -> (Table, &str, &str) {
        (key.table(), key.partition(), key.sort())
    }

    #[test]
    fn each_kind_of_row_has_a_unique_key() {
        use Table::{Blacklist, Main};
        let event = AuditEvent {
            id: id("line1"),
            at: NOON,
            kind: AuditKind::LoggedIn,
            user_id: None,
            session_id: None,
            client_address: String::new(),
            request_id: id("r1"),
            detail: None,
            sealer: RootKeys::parse(br#"{"id":"1","key":"0123456789abcdef0123456789abcdef"}"#)
                .unwrap()
                .sealer(Purpose::Audit),
        };
        let token = RevocationTarget::Token("t1".to_owned());
        for (key, expected) in [
            (Key::user(&ada()), (Main, "USER#ada@example.com", "PROFILE")),
            (Key::user_by_id(&id("u1")), (Main, "ID#u1", "USER")),
            (
                Key::domain(&ada()),
                (Main, "EMAIL#example.com", "USER#ada@example.com"),
            ),
            (
                Key::session(&ada(), NOON, &id("s1")),
                (
                    Main,
                    "USER#ada@example.com",
                    "SESSION#2026-11-23T12:00:00Z#s1",
                ),
            ),
            (Key::session_locator(&id("s1")), (Main, "SID#s1", "SESSION")),
            (
                Key::audit(&event),
                (Main, "AUDIT#2026-11-23#1", "2026-11-23T12:00:00Z#line1"),
            ),
            (
                Key::outbox(&id("m1"), NOON),
                (Main, "OUTBOX#2", "2026-11-23T12:00:00Z#m1"),
            ),
            (Key::decoy(&id("u1"), "USER"), (Main, "VAIN#u1", "USER")),
            (Key::key_document(), (Blacklist, "KEYS", "JWKS")),
            (Key::pack_directory(), (Blacklist, "PACKS", "DIRECTORY")),
            (
                Key::pack(&PackName::of(b"")),
                (Blacklist, "PACK#e3b0c44298fc1c149afbf4c8996fb924", "PACK"),
            ),
            (Key::revocation(&token), (Blacklist, "TOKEN#t1", "REVOKED")),
            (
                Key::revocation(&RevocationTarget::Session("s1".to_owned())),
                (Blacklist, "SESSION#s1", "REVOKED"),
            ),
            (
                Key::revocation(&RevocationTarget::Key("k1".to_owned())),
                (Blacklist, "KID#k1", "REVOKED"),
            ),
            (
                Key::revocation(&RevocationTarget::Subject {
                    issuer: "https://id.example".to_owned(),
                    subject: "u1".to_owned(),
                    generation: 2,
                }),
                (Blacklist, "SUBJECT#https://id.example#u1", "REVOKED"),
            ),
        ] {
            assert_eq!(lies(&key), expected);
        }
        let feed = Key::feed(&token, NOON, &id("r1"), 1);
        assert_eq!(feed.partition(), "FEED#2026-11-23T12:00#0");
        assert!(feed.sort().starts_with("2026-11-23T12:00:00Z#"));
    }

    #[test]
    fn a_feed_key_differs_by_request_or_target_and_is_the_same_when_repeated() {
        let token = |id: &str| RevocationTarget::Token(id.to_owned());
        let row = Key::feed(&token("t1"), NOON, &id("r1"), 1);
        assert!(row == Key::feed(&token("t1"), NOON, &id("r1"), 1));
        assert!(row != Key::feed(&token("t2"), NOON, &id("r1"), 1));
        assert!(row != Key::feed(&token("t1"), NOON, &id("r2"), 1));
        assert!(
            row != Key::feed(
                &RevocationTarget::Session("t1".to_owned()),
                NOON,
                &id("r1"),
                1
            )
        );
    }

    #[test]
    fn two_subjects_never_share_a_key() {
        let subject = |issuer: &str, subject: &str| {
            let target = RevocationTarget::Subject {
                issuer: issuer.to_owned(),
                subject: subject.to_owned(),
                generation: 1,
            };
            Key::revocation(&target).partition
        };
        let long = "x".repeat(MAX_KEY_PART + 1);
        let keys = [
            subject("a", "b#c"),
            subject("a#b", "c"),
            subject("a%23b", "c"),
            subject(&long, "c"),
            subject(&part(&long), "c"),
            subject(&"x".repeat(MAX_KEY_PART), "c"),
        ];
        for (place, key) in keys.iter().enumerate() {
            assert!(!keys[..place].contains(key), "{key}");
            assert!(key.len() < 2048);
        }
    }

    #[test]
    fn external_text_of_any_length_fits_a_key() {
        let worst = "%".repeat(MAX_KEY_PART);
        let target = RevocationTarget::Subject {
            issuer: worst.clone(),
            subject: worst,
            generation: 1,
        };
        assert!(Key::revocation(&target).partition().len() <= 2048);
    }

    #[test]
    fn debug_output_of_a_key_contains_only_its_kind() {
        assert_eq!(format!("{:?}", Key::user(&ada())), "Key(USER#..)");
    }
}
