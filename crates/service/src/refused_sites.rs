//! The IPv6 sites that a limit refuses, in the memory of this host.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use portcullis_core::limit::client::ClientSite;
use portcullis_core::limit::kind::LimitKind;
use portcullis_core::time::UnixTime;

/// The maximum number of sites per limit.
pub const MAX_SITES: usize = 1_024;

/// The refused sites, shared by all requests of a host.
#[derive(Clone, Debug, Default)]
pub struct RefusedSites(Arc<Mutex<BTreeMap<LimitKind, Sites>>>);

/// The sites that one limit refuses.
#[derive(Debug, Default)]
struct Sites {
    free_at: BTreeMap<ClientSite, UnixTime>,
    oldest_first: VecDeque<ClientSite>,
}

impl RefusedSites {
    /// The time at which `kind` accepts attempts of `site` again; `None` if it does so at `now`.
    pub(crate) fn free_at(
        &self,
        kind: LimitKind,
        site: ClientSite,
        now: UnixTime,
    ) -> Option<UnixTime> {
        let tables = self.tables();
        let free_at = tables.get(&kind)?.free_at.get(&site).copied();
        free_at.filter(|free_at| *free_at > now)
    }

    /// Refuses `site` until `free_at`. Of more than [`MAX_SITES`] sites, the oldest is dropped: its
    /// attempts are sampled again.
    pub(crate) fn refuse(&self, kind: LimitKind, site: ClientSite, free_at: UnixTime) {
        self.tables().entry(kind).or_default().insert(site, free_at);
    }

    // A panic while the lock is held leaves at worst an entry too many or too few.
    fn tables(&self) -> MutexGuard<'_, BTreeMap<LimitKind, Sites>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sites {
    fn insert(&mut self, site: ClientSite, free_at: UnixTime) {
        if self.free_at.insert(site, free_at).is_some() {
            self.oldest_first.retain(|known| *known != site);
        }
        self.oldest_first.push_back(site);
        if self.oldest_first.len() > MAX_SITES
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.free_at.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use portcullis_core::limit::client::ClientNetwork;

    use super::*;

    const NOON: UnixTime = UnixTime::from_secs(1_795_435_200);
    const KIND: LimitKind = LimitKind::LoginAddress;

    fn site(number: usize) -> ClientSite {
        let network = ClientNetwork::parse(&format!("2001:db8:{number:x}::1"));
        network.and_then(ClientSite::of).unwrap()
    }

    fn at(second: u64) -> UnixTime {
        NOON.plus(core::time::Duration::from_secs(second))
    }

    #[test]
    fn a_refused_ipv6_site_is_free_from_the_second_of_retry_after() {
        let sites = RefusedSites::default();
        sites.refuse(KIND, site(1), at(60));
        assert_eq!(sites.free_at(KIND, site(1), at(59)), Some(at(60)));
        assert_eq!(sites.free_at(KIND, site(1), at(60)), None);
        assert_eq!(sites.free_at(KIND, site(2), at(0)), None);
        assert_eq!(sites.free_at(LimitKind::LinkAddress, site(1), at(0)), None);
    }

    #[test]
    fn the_table_of_refused_ipv6_sites_is_bounded_per_limit_and_drops_the_oldest() {
        let sites = RefusedSites::default();
        sites.refuse(LimitKind::LinkAddress, site(0), at(60));
        for number in 0..MAX_SITES {
            sites.refuse(KIND, site(number), at(60));
        }
        // A site that is refused again becomes the newest one.
        sites.refuse(KIND, site(0), at(90));
        assert_eq!(sites.free_at(KIND, site(1), at(0)), Some(at(60)));
        sites.refuse(KIND, site(MAX_SITES), at(60));
        assert_eq!(sites.free_at(KIND, site(1), at(0)), None);
        assert_eq!(sites.free_at(KIND, site(0), at(0)), Some(at(90)));
        assert_eq!(sites.free_at(KIND, site(2), at(0)), Some(at(60)));
        let other = sites.free_at(LimitKind::LinkAddress, site(0), at(0));
        assert_eq!(other, Some(at(60)));
        let tables = sites.tables();
        let table = tables.get(&KIND).unwrap();
        assert_eq!(table.free_at.len(), MAX_SITES);
        assert_eq!(table.oldest_first.len(), MAX_SITES);
    }
}
