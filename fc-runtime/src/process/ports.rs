//! Free ports of the host, in turn.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::RangeInclusive;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

/// Which ports of a range are taken, and where the next search begins.
///
/// Ports are given in turn, so that one just given back is the last to be given again: connections
/// of its last holder may linger on it.
#[derive(Debug)]
struct PortRing {
    first: u16,
    taken: Box<[bool]>,
    next: usize,
}

impl PortRing {
    fn new(range: &RangeInclusive<u16>) -> Self {
        Self { first: *range.start(), taken: vec![false; range.len()].into(), next: 0 }
    }

    fn take(&mut self) -> Option<u16> {
        let count = self.taken.len();
        let index = (self.next..self.next + count)
            .map(|index| index % count)
            .find(|&index| !self.taken[index])?;
        self.taken[index] = true;
        self.next = (index + 1) % count;
        Some(self.first + index as u16)
    }

    fn give_back(&mut self, port: u16) {
        self.taken[usize::from(port - self.first)] = false;
    }
}

/// Gives out ports that nobody listens on.
#[derive(Clone, Debug)]
pub(super) struct Ports {
    ring: Arc<Mutex<PortRing>>,
}

/// A port that nobody else is given until this is dropped.
#[derive(Debug)]
pub(super) struct PortGuard {
    /// Before the ring: the port is free for others before it is given again here.
    _claim: Claim,
    place: Place,
}

/// A port's place in the ring.
#[derive(Debug)]
struct Place {
    port: u16,
    ports: Ports,
}

/// Tells other process runtimes of this network namespace, in this process or another, that a port
/// is taken before its program has bound it: a name in the abstract socket namespace, which the
/// kernel gives to one holder and takes back when the holder dies.
#[derive(Debug)]
struct Claim {
    _socket: UnixDatagram,
}

impl Claim {
    fn new(port: u16) -> Option<Self> {
        let name = SocketAddr::from_abstract_name(format!("fc-port-{port}")).ok()?;
        UnixDatagram::bind_addr(&name).ok().map(|socket| Self { _socket: socket })
    }
}

impl Ports {
    pub(super) fn new(range: &RangeInclusive<u16>) -> Self {
        Self { ring: Arc::new(Mutex::new(PortRing::new(range))) }
    }

    /// A port that is free now; `None` if every one is taken.
    pub(super) fn take(&self) -> Option<PortGuard> {
        let count = self.ring.lock().taken.len();
        // Ports that strangers hold are kept until the search ends, so that it moves on.
        let mut held = Vec::new();
        for _ in 0..count {
            let port = self.ring.lock().take()?;
            let place = Place { port, ports: self.clone() };
            match Claim::new(port).filter(|_| is_free(port)) {
                Some(claim) => return Some(PortGuard { _claim: claim, place }),
                None => held.push(place),
            }
        }
        None
    }
}

impl PortGuard {
    pub(super) fn port(&self) -> u16 {
        self.place.port
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.ports.ring.lock().give_back(self.port);
    }
}

/// Whether a program could bind `port` on every address, even one that does not set `SO_REUSEADDR`
/// (with it, lingering connections of an earlier server would go unnoticed).
fn is_free(port: u16) -> bool {
    let address = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port);
    rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)
        .and_then(|socket| rustix::net::bind(&socket, &address))
        .is_ok()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::net::TcpListener;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// RUN-2: two instances never share a port, and one just given back is the last in turn.
        #[test]
        fn run_2_ports_are_unique_and_in_turn(
            count in 1u16..20,
            steps in prop::collection::vec(any::<Option<prop::sample::Index>>(), 0..200),
        ) {
            let range = 100..=99 + count;
            let mut ring = PortRing::new(&range);
            let mut taken: Vec<u16> = Vec::new();
            let mut given_back: Option<u16> = None;
            for step in steps {
                match step {
                    Some(index) if !taken.is_empty() => {
                        let port = taken.swap_remove(index.index(taken.len()));
                        ring.give_back(port);
                        given_back = Some(port);
                    }
                    _ => {
                        let free = usize::from(count) - taken.len();
                        match ring.take() {
                            None => prop_assert_eq!(free, 0),
                            Some(port) => {
                                prop_assert!(range.contains(&port));
                                prop_assert!(!taken.contains(&port));
                                let _ = given_back.take();
                                taken.push(port);
                            }
                        }
                    }
                }
            }
            let distinct: HashSet<u16> = taken.iter().copied().collect();
            prop_assert_eq!(distinct.len(), taken.len());
        }

        #[test]
        fn run_2_a_port_given_back_is_not_given_at_once(count in 2u16..50, rounds in 1usize..200) {
            let mut ring = PortRing::new(&(1..=count));
            let mut last = None;
            for _ in 0..rounds {
                let port = ring.take().unwrap();
                prop_assert_ne!(Some(port), last);
                ring.give_back(port);
                last = Some(port);
            }
        }
    }

    /// Two runtimes that share a range do not give the same port to two programs, though neither
    /// has bound it yet.
    #[test]
    fn run_2_runtimes_do_not_share_a_port() {
        let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = stranger.local_addr().unwrap().port();
        drop(stranger);
        let (one, other) = (Ports::new(&(port..=port)), Ports::new(&(port..=port)));
        let guard = one.take().unwrap();
        assert!(other.take().is_none());
        drop(guard);
        assert!(other.take().is_some());
    }

    #[test]
    fn run_2_a_port_somebody_listens_on_is_passed_over() {
        let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = stranger.local_addr().unwrap().port();
        let ports = Ports::new(&(port..=port));
        assert!(ports.take().is_none());
        drop(stranger);
        let guard = ports.take().unwrap();
        assert_eq!(guard.port(), port);
        assert!(ports.take().is_none());
        drop(guard);
        assert!(ports.take().is_some());
    }
}
