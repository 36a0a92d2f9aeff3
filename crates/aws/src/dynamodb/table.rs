//! The layout of both tables: where each kind of row lies. One constructor a kind.
//!
//! Text from outside (`jti`, `sid`, `kid`, `iss`, `sub` of foreign tokens) is made fit for a key:
//! `#` and `%` are escaped, so that no two things share a key, and what is too long is hashed.

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

/// The attribute that DynamoDB deletes rows by, in seconds since 1970.
pub const TTL: &str = "ttl";

/// Over how many partitions each day of the audit trail is spread.
pub const AUDIT_SHARDS: u32 = 4;

/// Over how many partitions mail that waits is spread.
pub const OUTBOX_SHARDS: u32 = 4;

/// The longest text from outside that stands in a key as it is, in bytes. Two of them and their
/// escapes stay below the 2048 bytes that a partition key may have.
const MAX_KEY_PART: usize = 256;

/// What the partitions of mail domains begin with.
pub(crate) const DOMAINS: &str = "EMAIL#";

/// The names of the two tables.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tables {
    /// Users, sessions and the audit trail.
    pub main: String,
    /// What the edge may read: revocations, the feed and the key document.
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
    /// What only hosts read.
    Main,
    /// What the edge reads too.
    Blacklist,
}

/// Where a row lies.
#[derive(Clone, Eq, PartialEq)]
pub struct Key {
    table: Table,
    partition: String,
    sort: String,
}

impl Key {
    /// The account under an address.
    pub fn user(email: &EmailAddress) -> Self {
        Self::main(format!("USER#{}", email.as_str()), "PROFILE")
    }

    /// The way from a user id to the account's address: for support, export and erasure.
    pub fn user_by_id(user_id: &Id) -> Self {
        Self::main(format!("ID#{user_id}"), "USER")
    }

    /// The partition of an account and of what stands beside it.
    pub(crate) fn user_partition(email: &EmailAddress) -> String {
        format!("USER#{}", email.as_str())
    }

    /// Anything that stands beside an account, by its sort key.
    pub(crate) fn beside(email: &EmailAddress, sort: &str) -> Self {
        Self::main(Self::user_partition(email), sort)
    }

    /// The partition of the accounts of a mail domain.
    pub(crate) fn domain_partition(domain: &str) -> String {
        format!("{DOMAINS}{domain}")
    }

    /// An account among those of its mail domain.
    pub fn domain(email: &EmailAddress) -> Self {
        let sort = format!("USER#{}", email.as_str());
        Self::main(Self::domain_partition(email.domain()), sort)
    }

    /// A login session, beside its account and in the order of opening.
    pub fn session(email: &EmailAddress, opened_at: UnixTime, session_id: &Id) -> Self {
        let sort = format!("SESSION#{opened_at}#{session_id}");
        Self::main(format!("USER#{}", email.as_str()), sort)
    }

    /// The factor of an account that shows codes by time. Another kind, of which there may be
    /// several, is `FACTOR#WEBAUTHN#<credential>`.
    pub fn totp(email: &EmailAddress) -> Self {
        Self::main(format!("USER#{}", email.as_str()), "FACTOR#TOTP")
    }

    /// The recovery codes of an account.
    pub fn recovery_codes(email: &EmailAddress) -> Self {
        Self::main(format!("USER#{}", email.as_str()), "FACTOR#RECOVERY")
    }

    /// A session's row as its locator names it; `None` if that names no session.
    pub fn located_session(partition: &str, sort: &str) -> Option<Self> {
        let is_session = partition.starts_with("USER#") && sort.starts_with("SESSION#");
        is_session.then(|| Self::main(partition.to_owned(), sort))
    }

    /// The way from a session id to the session's row.
    pub fn session_locator(session_id: &Id) -> Self {
        Self::main(format!("SID#{session_id}"), "SESSION")
    }

    /// One line of the audit trail.
    pub fn audit(event: &AuditEvent) -> Self {
        Self::audit_line(&event.id, event.at)
    }

    /// Where the line called `id` lies.
    pub(crate) fn audit_line(id: &Id, at: UnixTime) -> Self {
        let shard = shard(id.as_str(), AUDIT_SHARDS);
        Self::main(Self::audit_partition(at, shard), format!("{at}#{id}"))
    }

    /// One shard of the audit trail's day of `at`.
    pub(crate) fn audit_partition(at: UnixTime, shard: u32) -> String {
        format!("AUDIT#{}#{shard}", at.day())
    }

    /// The digest of one shard of a day.
    pub(crate) fn audit_digest(day: UnixTime, shard: u32) -> Self {
        Self::main(format!("DIGEST#{}", day.day()), shard.to_string())
    }

    /// The attempts of one bucket of a rate limit: `name` is a code, never an address.
    pub fn limit(scope: &str, name: &str) -> Self {
        Self::main(format!("LIMIT#{scope}#{name}"), "WINDOW")
    }

    /// A mail that waits to be sent, in the order of asking.
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

    /// A row that stands for one that is not to be: as large, and soon gone.
    pub fn vain(name: &Id, sort: &'static str) -> Self {
        Self::main(format!("VAIN#{name}"), sort)
    }

    /// The public keys of our own issuer.
    pub fn key_document() -> Self {
        Self::blacklist("KEYS".to_owned(), "JWKS")
    }

    /// One thing called back.
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

    /// The announcement of one thing called back, in the feed of the minute it is stamped with, which
    /// is spread over `shards` partitions.
    ///
    /// Its name comes of the request and the target: a repeated write is the same row, and no
    /// request can write over another's, not even under a borrowed request id.
    pub fn feed(target: &RevocationTarget, stamp: UnixTime, request_id: &Id, shards: u32) -> Self {
        let id = digest(&format!(
            "{request_id}\n{}",
            Self::revocation(target).partition
        ));
        let partition = Self::feed_partition(stamp, shard(&id, shards));
        Self::blacklist(partition, format!("{stamp}#{id}"))
    }

    /// The partition of one shard of the feed's minute that `moment` lies in.
    pub fn feed_partition(moment: UnixTime, shard: u32) -> String {
        format!("FEED#{}#{shard}", moment.minute())
    }

    /// The list of the feed's packs.
    pub fn pack_directory() -> Self {
        Self::blacklist("PACKS".to_owned(), "DIRECTORY")
    }

    /// One pack of the feed.
    pub fn pack(name: &PackName) -> Self {
        Self::blacklist(format!("PACK#{name}"), "PACK")
    }

    /// The table it lies in.
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

// SECURITY: keys hold addresses.
impl core::fmt::Debug for Key {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let kind = self.partition.split('#').next().unwrap_or_default();
        write!(f, "Key({kind}#..)")
    }
}

/// The first 128 bits of a SHA-256, in hex: a name that nobody can make another text have.
pub(crate) fn digest(text: &str) -> String {
    sha256_hex(text.as_bytes()).chars().take(32).collect()
}

// INVARIANT: an escaped part has `%` only before `23` or `25`, a hashed one begins with `%h`.
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
    fn each_kind_of_row_has_its_place() {
        use Table::{Blacklist, Main};
        let event = AuditEvent {
            id: id("line1"),
            at: NOON,
            kind: AuditKind::LoggedIn,
            user_id: None,
            session_id: None,
            client_address: String::new(),
            request_id: id("r1"),
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
            (Key::vain(&id("u1"), "USER"), (Main, "VAIN#u1", "USER")),
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
    fn a_feed_row_is_its_own_when_request_or_target_differ_and_the_same_when_repeated() {
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
    fn no_two_subjects_share_a_key_however_they_are_written() {
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
    fn text_of_any_length_fits_a_key() {
        let worst = "%".repeat(MAX_KEY_PART);
        let target = RevocationTarget::Subject {
            issuer: worst.clone(),
            subject: worst,
            generation: 1,
        };
        assert!(Key::revocation(&target).partition().len() <= 2048);
    }

    #[test]
    fn a_key_prints_its_kind_alone() {
        assert_eq!(format!("{:?}", Key::user(&ada())), "Key(USER#..)");
    }
}
