//! Socket addresses and tuples: from the encoding of event parameters, and as text.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub ip: IpAddr,
    pub port: u16,
}

/// Parameter of type sockaddr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SockAddr<'a> {
    Ip(Endpoint),
    Unix(&'a [u8]),
    Other(u8),
}

/// Parameter of type socktuple.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SockTuple<'a> {
    Ip(Endpoint, Endpoint),
    Unix {
        source: u64,
        destination: u64,
        path: &'a [u8],
    },
    Other(u8),
}

pub const AF_UNIX: u8 = 1;
pub const AF_INET: u8 = 2;
pub const AF_INET6: u8 = 10;

fn endpoint4(bytes: &[u8]) -> Option<Endpoint> {
    let ip: [u8; 4] = bytes.get(..4)?.try_into().ok()?;
    let port: [u8; 2] = bytes.get(4..6)?.try_into().ok()?;
    Some(Endpoint {
        ip: IpAddr::V4(Ipv4Addr::from(ip)),
        port: u16::from_le_bytes(port),
    })
}

fn endpoint6(bytes: &[u8]) -> Option<Endpoint> {
    let ip: [u8; 16] = bytes.get(..16)?.try_into().ok()?;
    let port: [u8; 2] = bytes.get(16..18)?.try_into().ok()?;
    Some(Endpoint {
        ip: IpAddr::V6(Ipv6Addr::from(ip)),
        port: u16::from_le_bytes(port),
    })
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    &bytes[..memchr::memchr(0, bytes).unwrap_or(bytes.len())]
}

impl Endpoint {
    /// The IPv4 end that a v4-mapped IPv6 one stands for, the unspecified address being one; itself otherwise.
    pub fn unmapped(self) -> Endpoint {
        self.mapped().map_or(self, |ip| Endpoint {
            ip: IpAddr::V4(ip),
            port: self.port,
        })
    }

    fn mapped(self) -> Option<Ipv4Addr> {
        match self.ip {
            IpAddr::V6(ip) if ip.is_unspecified() => Some(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(ip) => ip.to_ipv4_mapped(),
            IpAddr::V4(_) => None,
        }
    }

    pub fn is_unspecified(self) -> bool {
        self.ip.is_unspecified()
    }

    pub fn write(self, out: &mut Vec<u8>) {
        write_ip(self.ip, out);
        let _ = write!(out, ":{}", self.port);
    }
}

/// Both ends as IPv4, where both are v4-mapped.
pub fn unmapped(source: Endpoint, destination: Endpoint) -> (Endpoint, Endpoint) {
    match (source.mapped(), destination.mapped()) {
        (Some(_), Some(_)) => (source.unmapped(), destination.unmapped()),
        _ => (source, destination),
    }
}

/// Text of an address: IPv6 bare, with the embedded IPv4 form only where the kernel's inet_ntop has it.
pub fn write_ip(ip: IpAddr, out: &mut Vec<u8>) {
    let _ = write!(out, "{ip}");
}

impl<'a> SockAddr<'a> {
    /// `None` for an empty or truncated parameter.
    pub fn parse(bytes: &'a [u8]) -> Option<SockAddr<'a>> {
        let (&family, rest) = bytes.split_first()?;
        match family {
            AF_INET => endpoint4(rest).map(SockAddr::Ip),
            AF_INET6 => endpoint6(rest).map(SockAddr::Ip),
            AF_UNIX => Some(SockAddr::Unix(until_nul(rest))),
            other => Some(SockAddr::Other(other)),
        }
    }

    pub fn write(self, out: &mut Vec<u8>) {
        match self {
            SockAddr::Ip(end) => end.write(out),
            SockAddr::Unix(path) => out.extend_from_slice(path),
            SockAddr::Other(family) => {
                let _ = write!(out, "family {family}");
            }
        }
    }
}

impl<'a> SockTuple<'a> {
    /// `None` for an empty or truncated parameter.
    pub fn parse(bytes: &'a [u8]) -> Option<SockTuple<'a>> {
        let (&family, rest) = bytes.split_first()?;
        match family {
            AF_INET => Some(SockTuple::Ip(endpoint4(rest)?, endpoint4(rest.get(6..)?)?)),
            AF_INET6 => Some(SockTuple::Ip(endpoint6(rest)?, endpoint6(rest.get(18..)?)?)),
            AF_UNIX => {
                let source = u64::from_le_bytes(rest.get(..8)?.try_into().ok()?);
                let destination = u64::from_le_bytes(rest.get(8..16)?.try_into().ok()?);
                Some(SockTuple::Unix {
                    source,
                    destination,
                    path: until_nul(&rest[16..]),
                })
            }
            other => Some(SockTuple::Other(other)),
        }
    }

    pub fn write(self, out: &mut Vec<u8>) {
        match self {
            SockTuple::Ip(source, destination) => {
                source.write(out);
                out.extend_from_slice(b"->");
                destination.write(out);
            }
            SockTuple::Unix {
                source,
                destination,
                path,
            } => write_unix(source, destination, path, out),
            SockTuple::Other(family) => {
                let _ = write!(out, "family {family}");
            }
        }
    }
}

/// `src->dst path`, the ends as kernel addresses in hexadecimal.
pub fn write_unix(source: u64, destination: u64, path: &[u8], out: &mut Vec<u8>) {
    let _ = write!(out, "{source:x}->{destination:x}");
    if !path.is_empty() {
        out.push(b' ');
        out.extend_from_slice(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truncated_parameters_are_no_address() {
        let full = [AF_INET, 127, 0, 0, 1, 80, 0, 10, 0, 0, 1, 187, 1];
        for end in 0..full.len() {
            assert_eq!(SockTuple::parse(&full[..end]), None, "{end}");
        }
        let mut out = Vec::new();
        SockTuple::parse(&full).unwrap().write(&mut out);
        assert_eq!(out, b"127.0.0.1:80->10.0.0.1:443");
        assert_eq!(SockAddr::parse(&[AF_UNIX]), Some(SockAddr::Unix(b"")));
        assert_eq!(SockAddr::parse(&[]), None);
    }

    #[test]
    fn mapped_addresses_become_ipv4() {
        let mapped = Endpoint {
            ip: "::ffff:1.2.3.4".parse().unwrap(),
            port: 7,
        };
        assert_eq!(mapped.unmapped().ip, "1.2.3.4".parse::<IpAddr>().unwrap());
    }
}
