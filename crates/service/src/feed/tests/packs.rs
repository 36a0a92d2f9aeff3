//! The content of packs, and the reads that replace a failed pack.

use portcullis_core::revocation::Pack;

use super::*;
use crate::feed::packs::MAX_ROW_FALLBACK;

#[test]
fn packs_replace_their_minutes_and_later_minutes_are_read_from_rows() {
    let fixture = Fixture::default();
    fixture.revoke(9_500, "t1", 10_900);
    assert_eq!(fixture.pack(9_830), PackOutcome::Done { names: 1 });
    fixture.revoke(9_840, "t2", 10_900);
    let known = fixture.read(10_030);
    assert_eq!(known.status(token("t1")), RevocationStatus::MaybeRevoked);
    assert_eq!(known.status(token("t2")), RevocationStatus::Revoked);
    assert_eq!(known.status(token("t3")), RevocationStatus::NotRevoked);
    let spans = fixture.spans.borrow();
    assert!(spans.contains(&(10_020, 10_032)));
    assert_eq!(spans.len(), 5, "{spans:?}");
}

#[test]
fn an_unreadable_pack_is_replaced_by_its_rows() {
    let fixture = Fixture::default();
    fixture.revoke(9_500, "t1", 10_900);
    fixture.revoke(9_700, "t2", 10_900);
    assert_eq!(fixture.pack(10_030), PackOutcome::Done { names: 2 });
    let revoked = |fixture: &Fixture, standing| {
        let known = fixture.read(10_030);
        assert_eq!(known.status(token("t1")), standing);
        assert_eq!(known.status(token("t2")), standing);
    };
    revoked(&fixture, RevocationStatus::MaybeRevoked);
    let good = fixture.packs.borrow().clone();
    let spoil = |spoil: &dyn Fn(&mut Vec<u8>)| {
        let mut packs = good.clone();
        packs.values_mut().for_each(spoil);
        fixture.packs.replace(packs);
        revoked(&fixture, RevocationStatus::Revoked);
    };
    spoil(&|bytes| bytes.truncate(20));
    spoil(&|bytes| bytes.push(0));
    spoil(&|bytes| bytes[7] = 2);
    // A valid pack of another span.
    spoil(&|bytes| *bytes = Pack::of(&[], at(0)).to_bytes());
    fixture.packs.borrow_mut().clear();
    revoked(&fixture, RevocationStatus::Revoked);
    fixture.packs.replace(good);
    fixture.directory_is_damaged.set(true);
    revoked(&fixture, RevocationStatus::Revoked);
}

#[test]
fn failing_packs_with_few_entries_are_replaced_by_their_rows() {
    let fixture = Fixture::default();
    fixture.revoke(9_500, "t1", 10_900);
    assert_eq!(fixture.pack(10_030), PackOutcome::Done { names: 1 });
    fixture.packs_fail.set(true);
    let known = fixture.read(10_030);
    assert_eq!(known.status(token("t1")), RevocationStatus::Revoked);
}

#[test]
fn failing_packs_with_many_entries_are_an_error_and_their_rows_are_not_read() {
    let many = MAX_ROW_FALLBACK.saturating_add(1);
    for (names, reads) in [(MAX_ROW_FALLBACK, true), (many, false)] {
        let fixture = Fixture::default();
        for name in 0..names {
            fixture.revoke(9_500, &format!("t{name}"), 10_900);
        }
        assert_eq!(fixture.pack(10_030), PackOutcome::Done { names });
        fixture.packs_fail.set(true);
        assert_eq!(fixture.cold(10_030, &NoCache).is_ok(), reads, "{names}");
        // An absent or damaged pack stays so: only the rows hold its revocations.
        fixture.packs_fail.set(false);
        fixture.packs.borrow_mut().clear();
        assert!(fixture.cold(10_030, &NoCache).is_ok(), "{names}");
    }
}

#[test]
fn a_failed_directory_read_does_not_count_as_an_empty_directory() {
    let fixture = Fixture::default();
    fixture.revoke(9_500, "t1", 10_900);
    assert_eq!(fixture.pack(10_030), PackOutcome::Done { names: 1 });
    fixture.directory_fails.set(true);
    assert!(fixture.cold(10_030, &NoCache).is_err());
    let rows = fixture
        .spans
        .borrow()
        .iter()
        .filter(|span| span.0 < 10_020)
        .count();
    assert_eq!(rows, 0, "not one closed minute was read");
    // An edge that missed only two minutes reads no directory.
    let since = at(9_920);
    let read = read_revocations(
        Revocations::default(),
        since,
        REACH,
        &fixture,
        &NoCache,
        at(10_030),
    );
    assert!(ready(read).is_ok());
}

#[test]
fn a_pack_of_a_span_that_is_still_open_is_ignored_for_its_rows() {
    let fixture = Fixture::default();
    // Every run of the packer uses a clock that is one minute fast.
    let _ = fixture.pack(10_090);
    fixture.revoke(10_070, "t1", 10_900);
    let _ = fixture.pack(10_150);
    assert!(fixture.read(10_095).contains(token("t1")));
    // The clocks of a host and an edge may differ by 2 s.
    let fixture = Fixture::default();
    let _ = fixture.pack(10_090);
    // The clocks of a host and an edge may differ by 2 s.
    fixture.read(10_082);
    let spans = fixture.spans.borrow().clone();
    assert_eq!(
        spans,
        [(10_020, 10_084)],
        "no closed minute is read by its rows"
    );
}
