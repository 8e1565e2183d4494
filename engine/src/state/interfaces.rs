//! The host's network interfaces: which addresses are its own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

#[derive(Clone, Copy, Debug)]
pub(super) struct Interface4 {
    pub(super) addr: u32,
    pub(super) netmask: u32,
}

/// Addresses of this host. Bounded.
#[derive(Debug, Default)]
pub struct Interfaces {
    pub(super) v4: Vec<Interface4>,
    pub(super) v6: Vec<Ipv6Addr>,
}

const LIMIT: usize = 4096;

impl Interfaces {
    /// How many addresses: another number whenever one comes.
    pub fn count(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// True if the address was new.
    pub fn add(&mut self, addr: &[u8], netmask: &[u8]) -> bool {
        if self.count() >= LIMIT {
            return false;
        }
        if let Ok(addr) = <[u8; 4]>::try_from(addr) {
            let addr = u32::from_be_bytes(addr);
            let netmask = <[u8; 4]>::try_from(netmask).map_or(u32::MAX, u32::from_be_bytes);
            let known = self.v4.iter().any(|i| i.addr == addr);
            if !known {
                self.v4.push(Interface4 { addr, netmask });
            }
            return !known;
        }
        if let Ok(addr) = <[u8; 16]>::try_from(addr) {
            let addr = Ipv6Addr::from(addr);
            let known = self.v6.contains(&addr);
            if !known {
                self.v6.push(addr);
            }
            return !known;
        }
        false
    }

    /// Loopback or an address of an interface.
    pub fn is_local(&self, ip: IpAddr) -> bool {
        match ip {
            IpAddr::V4(ip) => ip.is_loopback() || self.v4.iter().any(|i| i.addr == u32::from(ip)),
            IpAddr::V6(ip) => ip.is_loopback() || self.v6.contains(&ip),
        }
    }

    /// The own address that a packet to `peer` leaves from: the same one, the one of its subnet, else the first that is not loopback.
    pub fn towards(&self, peer: IpAddr) -> Option<IpAddr> {
        let IpAddr::V4(peer) = peer else {
            let IpAddr::V6(peer) = peer else { return None };
            let own = self
                .v6
                .iter()
                .find(|ip| **ip == peer)
                .or_else(|| self.v6.iter().find(|ip| !ip.is_loopback()));
            return own.or(peer.is_loopback().then_some(&peer)).copied().map(IpAddr::V6);
        };
        let number = u32::from(peer);
        let exact = self.v4.iter().find(|i| i.addr == number);
        let subnet = || self.v4.iter().find(|i| i.addr & i.netmask == number & i.netmask);
        let other = || self.v4.iter().find(|i| !Ipv4Addr::from(i.addr).is_loopback());
        exact
            .or_else(subnet)
            .or_else(other)
            .map(|i| IpAddr::V4(Ipv4Addr::from(i.addr)))
    }

    pub fn clear(&mut self) {
        *self = Interfaces::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_addresses_are_known() {
        let mut interfaces = Interfaces::default();
        assert!(interfaces.add(&[127, 0, 0, 1], &[255, 0, 0, 0]));
        assert!(interfaces.add(&[10, 0, 2, 15], &[255, 255, 255, 0]));
        assert!(!interfaces.add(&[10, 0, 2, 15], &[255, 255, 255, 0]));
        assert!(!interfaces.add(b"junk!", b""));
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(
            interfaces.is_local(ip("127.9.9.9"))
                && interfaces.is_local(ip("10.0.2.15"))
                && interfaces.is_local(ip("::1"))
        );
        assert!(!interfaces.is_local(ip("10.0.2.16")));
        assert_eq!(interfaces.towards(ip("127.0.0.1")), Some(ip("127.0.0.1")));
        assert_eq!(interfaces.towards(ip("10.0.2.77")), Some(ip("10.0.2.15")));
        assert_eq!(interfaces.towards(ip("8.8.8.8")), Some(ip("10.0.2.15")));
    }
}
