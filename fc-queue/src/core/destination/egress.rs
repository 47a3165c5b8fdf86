//! Which addresses the platform connects to on an account's behalf (T6).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use fc_core::{Error, Result};

/// Which addresses the platform connects to on an account's behalf: those of the public Internet, and
/// networks that the product names.
///
/// It is asked about the address that is then connected to, never about a name.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Egress {
    allowed: Vec<Network>,
}

impl Egress {
    /// The public Internet only.
    pub const fn public() -> Self {
        Self { allowed: Vec::new() }
    }

    /// And this network.
    #[must_use]
    pub fn and(mut self, network: Network) -> Self {
        self.allowed.push(network);
        self
    }

    /// Whether `ip` may be connected to.
    pub fn permits(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        is_public(ip) || self.allowed.iter().any(|network| network.contains(ip))
    }
}

/// A network: an address and how many of its first bits count.
///
/// ```
/// use fc_queue::core::destination::Network;
/// let network: Network = "10.1.0.0/16".parse().unwrap();
/// assert!(network.contains("10.1.2.3".parse().unwrap()));
/// assert!(!network.contains("10.2.0.0".parse().unwrap()));
/// assert!("10.1.0.0".parse::<Network>().is_err() && "::/129".parse::<Network>().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    /// Whether `ip` is in it.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let drop_low =
            |number: u128, width: u32| number.checked_shr(width - self.bits).unwrap_or(0);
        match (self.address, ip.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(ip)) => {
                let number = |ip: Ipv4Addr| drop_low(u32::from(ip).into(), 32);
                number(own) == number(ip)
            }
            (IpAddr::V6(own), IpAddr::V6(ip)) => {
                drop_low(own.into(), 128) == drop_low(ip.into(), 128)
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse =
            || Error::invalid("network", "must be an address, '/' and how many of its bits count");
        let (address, bits) = text.split_once('/').ok_or_else(refuse)?;
        let (address, bits): (IpAddr, u32) =
            (address.parse().map_err(|_| refuse())?, bits.parse().map_err(|_| refuse())?);
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        if bits > bits_max {
            return Err(Error::over_limit("network", "bits", bits_max.into(), bits.into()));
        }
        Ok(Self { address, bits })
    }
}

/// Whether an address belongs to the public Internet, by IANA's registries of special addresses.
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let is_special = match (a, b, c) {
        // This network, private ones, loopback.
        (0 | 10 | 127, ..) => true,
        // Shared by carriers; clouds keep their metadata here too.
        (100, 64..=127, _) => true,
        // Link-local: most clouds' metadata.
        (169, 254, _) => true,
        (172, 16..=31, _) | (192, 168, _) => true,
        // Protocol assignments, documentation, relays of 6to4, benchmarks.
        (192, 0, 0 | 2) | (192, 88, 99) | (198, 51, 100) | (203, 0, 113) => true,
        (198, 18 | 19, _) => true,
        // Multicast, reserved, broadcast.
        (224.., ..) => true,
        _ => false,
    };
    !is_special
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let segments = ip.segments();
    // An IPv4 address behind a translator.
    if segments[..6] == [0x64, 0xff9b, 0, 0, 0, 0] {
        let [.., a, b, c, d] = ip.octets();
        return is_public_v4(Ipv4Addr::new(a, b, c, d));
    }
    match (segments[0], segments[1]) {
        // Tunnels and identifiers (2001::/23), documentation.
        (0x2001, 0..=0x01ff | 0x0db8) => false,
        // 6to4 wraps an IPv4 address; documentation.
        (0x2002, _) | (0x3fff, 0..=0x0fff) => false,
        // What is assigned to the Internet at all.
        (0x2000..=0x3fff, _) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(egress: &Egress, ip: &str) -> bool {
        egress.permits(ip.parse().unwrap())
    }

    #[test]
    fn t6_what_is_not_the_internet_is_refused() {
        let egress = Egress::public();
        for ip in [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::127.0.0.1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!permits(&egress, ip), "{ip}");
        }
    }

    #[test]
    fn what_is_the_internet_is_permitted() {
        let egress = Egress::public();
        for ip in [
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.1",
            "223.255.255.255",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
            "2606:4700::1111",
            "2001:4860:4860::8888",
        ] {
            assert!(permits(&egress, ip), "{ip}");
        }
    }

    #[test]
    fn a_network_that_is_named_is_permitted_in_each_form() {
        let egress = Egress::public().and("127.0.0.0/8".parse().unwrap());
        let egress = egress.and("fd00:1::/32".parse().unwrap());
        for ip in ["127.0.0.1", "::ffff:127.9.9.9", "fd00:1:2::3"] {
            assert!(permits(&egress, ip), "{ip}");
        }
        for ip in ["10.0.0.1", "::1", "fd00:2::1", "169.254.169.254"] {
            assert!(!permits(&egress, ip), "{ip}");
        }
        let all = Egress::public().and("0.0.0.0/0".parse().unwrap());
        assert!(permits(&all, "10.0.0.1") && !permits(&all, "::1"));
        let all = Egress::public().and("::/0".parse().unwrap());
        assert!(permits(&all, "::1") && !permits(&all, "10.0.0.1"));
        let one = Egress::public().and("10.0.0.1/32".parse().unwrap());
        assert!(permits(&one, "10.0.0.1") && !permits(&one, "10.0.0.2"));
    }
}
