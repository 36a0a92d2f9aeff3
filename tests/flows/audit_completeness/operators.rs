//! Operators' commands.

use std::collections::BTreeSet;

use super::{EntryKind, Trail};
use crate::factors::enrol;
use crate::operator::{run, system};
use crate::{EMAIL, PASSWORD, claims, token};

pub(super) async fn drive() -> BTreeSet<EntryKind> {
    let system = system().await;
    let peer = system.peer();
    let mut trail = Trail::of(&system).await;
    for (act, line) in [("disable", "admin_disable"), ("enable", "admin_enable")] {
        let said = run(&system, &["users", act, EMAIL]).await;
        assert_eq!(said.code, Some(0), "{said:?}");
        trail.left_behind(&[&format!("{line} success")]).await;
    }
    let login = peer.login(EMAIL, PASSWORD).await;
    enrol(&peer, &token(&login), PASSWORD, system.clock.now()).await;
    let _ = trail.news().await;
    let said = run(&system, &["users", "remove-factor", EMAIL]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    trail.left_behind(&["admin_remove_factor success"]).await;
    let sid = claims(&token(&login))["sid"].clone();
    let sid = sid.as_str().expect("an id");
    let file = system.folder().join("accounts.ndjson");
    let hash = include_str!("../../vectors/passwords/hashes.jsonl");
    let hash: serde_json::Value =
        serde_json::from_str(hash.lines().next().expect("a line")).expect("JSON");
    let line = serde_json::json!({"email": "dora@example.com", "password_hash": hash["hash"]});
    std::fs::write(&file, line.to_string()).expect("written");
    let file = file.to_str().expect("UTF-8");
    let kid = crate::part(&token(&login), 0)["kid"].clone();
    let kid = kid.as_str().expect("a name");
    for (arguments, lines) in [
        (
            &["sessions", "end", sid][..],
            &["admin_end_session success"][..],
        ),
        (&["users", "logout", EMAIL], &["admin_logout success"]),
        (&["users", "import", file], &["import success"]),
        // Removal disables the account first.
        (
            &["users", "delete", EMAIL, "--yes"],
            &["admin_delete success", "admin_disable success"],
        ),
        (
            &["keys", "rotate"],
            &["key_publish success", "key_rotate success"],
        ),
        (&["keys", "revoke", kid], &["key_revoke success"]),
        (
            &["users", "grant", "dora@example.com", "--role", "editor"],
            &["admin_grant success"],
        ),
        (
            &["users", "revoke", "dora@example.com", "--role", "editor"],
            &["admin_revoke success"],
        ),
        (
            &["users", "claims", "set", "dora@example.com", "plan", "1"],
            &["admin_set_claim success"],
        ),
        (
            &["users", "claims", "unset", "dora@example.com", "plan"],
            &["admin_unset_claim success"],
        ),
        (
            &["users", "create", "eve@example.com", "--invite"],
            &["admin_invite success"],
        ),
        (&["users", "list"], &["admin_list success"]),
        (
            &["users", "show", "dora@example.com"],
            &["admin_show success"],
        ),
        (&["limits", "show", "dora@example.com"], &[]),
        (
            &["limits", "clear", "dora@example.com"],
            &["admin_clear_limits success"],
        ),
    ] {
        let said = run(&system, arguments).await;
        assert_eq!(said.code, Some(0), "{said:?}");
        let lines_now: BTreeSet<_> = {
            let rows = trail.news().await;
            for row in &rows {
                assert_eq!(row["client_address"], crate::operator::GRACE, "{row}");
            }
            rows.iter().map(super::reported).collect()
        };
        let expected: BTreeSet<_> = lines.iter().map(|line| (*line).to_owned()).collect();
        assert_eq!(lines_now, expected, "{arguments:?}");
    }
    trail.end().await
}
