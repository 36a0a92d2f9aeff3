//! The places for connections: a total, a share for each network, and some for health checks.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use portcullis_core::limit::client::ClientNetwork;

/// The places beyond the total that serve `/health` alone, so that a full host is not taken for a
/// dead one.
pub(super) const HEALTH_PLACES: usize = 32;

/// The share of one network in them.
const HEALTH_PLACES_PER_ADDRESS: usize = 4;

/// The open connections.
#[derive(Clone, Debug)]
pub(super) struct Places {
    total: usize,
    per_address: usize,
    open: Arc<Mutex<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    networks: HashMap<ClientNetwork, usize>,
    /// The networks of the places for health checks.
    health: HashMap<ClientNetwork, usize>,
}

/// The requests that a connection may send.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Service {
    /// All.
    Every,
    /// Health checks: the host is full.
    Health,
}

/// A place, free again when dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    network: ClientNetwork,
    pub(super) service: Service,
}

impl Places {
    pub(super) fn new(total: usize, per_address: usize) -> Self {
        Self {
            total,
            per_address,
            open: Arc::default(),
        }
    }

    /// A place for a connection from `address`; `None` if there is none.
    pub(super) fn take(&self, address: IpAddr) -> Option<Place> {
        let network = ClientNetwork::of(address);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let own = open.networks.get(&network).copied().unwrap_or_default();
        let service = if open.total < self.total {
            Service::Every
        } else if open.total < self.total.saturating_add(HEALTH_PLACES) {
            Service::Health
        } else {
            return None;
        };
        if own >= self.per_address {
            return None;
        }
        if service == Service::Health {
            let health = open.health.entry(network).or_default();
            if *health >= HEALTH_PLACES_PER_ADDRESS {
                return None;
            }
            *health = health.saturating_add(1);
        }
        open.total = open.total.saturating_add(1);
        open.networks.insert(network, own.saturating_add(1));
        Some(Place {
            places: self.clone(),
            network,
            service,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let open = self.places.open.lock();
        let mut open = open.unwrap_or_else(PoisonError::into_inner);
        open.total = open.total.saturating_sub(1);
        leave(&mut open.networks, self.network);
        if self.service == Service::Health {
            leave(&mut open.health, self.network);
        }
    }
}

fn leave(networks: &mut HashMap<ClientNetwork, usize>, network: ClientNetwork) {
    let own = networks.get(&network).copied();
    match own.unwrap_or_default().saturating_sub(1) {
        0 => networks.remove(&network),
        left => networks.insert(network, left),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([203, 0, 113, last])
    }

    #[test]
    fn one_network_cannot_take_every_place() {
        let places = Places::new(10, 3);
        let taken: Vec<_> = (0..5).map(|_| places.take(address(1))).collect();
        assert_eq!(taken.iter().flatten().count(), 3);
        assert!(places.take(address(2)).is_some());
        drop(taken);
        assert!(places.take(address(1)).is_some());
        // An IPv6 client has a whole /64.
        let one = |last: &str| format!("2001:db8::{last}").parse().expect("an address");
        let taken: Vec<_> = (1..=5)
            .map(|last| places.take(one(&last.to_string())))
            .collect();
        assert_eq!(taken.iter().flatten().count(), 3);
    }

    #[test]
    fn a_full_host_keeps_places_for_health_checks() {
        let places = Places::new(2, 100);
        let full = [places.take(address(1)), places.take(address(2))];
        let all = full.iter().flatten().map(|place| place.service);
        assert_eq!(all.collect::<Vec<_>>(), [Service::Every; 2]);
        let own: Vec<_> = (0..9).map(|_| places.take(address(9))).collect();
        assert_eq!(own.iter().flatten().count(), HEALTH_PLACES_PER_ADDRESS);
        drop(own);
        let networks = (10..).flat_map(|last| [last; HEALTH_PLACES_PER_ADDRESS]);
        let mut health: Vec<_> = networks
            .take(HEALTH_PLACES)
            .map(|last| places.take(address(last)))
            .collect();
        let served = health.iter().flatten().map(|place| place.service);
        assert_eq!(served.collect::<Vec<_>>(), [Service::Health; HEALTH_PLACES]);
        assert!(places.take(address(4)).is_none());
        health.pop();
        assert!(places.take(address(4)).is_some());
        drop((full, health));
        let free = places.take(address(5)).expect("a place");
        assert_eq!(free.service, Service::Every);
    }
}
