//! Kept connections to a program.

use std::net::SocketAddr;

use parking_lot::Mutex;

use super::client::Connection;

/// Connections that are kept beyond the instance's concurrency.
const SPARE: usize = 2;

/// An instance's idle connections, the last used first.
#[derive(Debug)]
pub(super) struct Connections {
    address: SocketAddr,
    idle: Mutex<Idle>,
}

#[derive(Debug)]
struct Idle {
    /// Boxed where they are made, so that moving one moves a pointer.
    #[allow(clippy::vec_box)]
    stack: Vec<Box<Connection>>,
    max: usize,
}

impl Connections {
    pub(super) fn new(address: SocketAddr, concurrency: u32) -> Self {
        Self {
            address,
            idle: Mutex::new(Idle { stack: Vec::new(), max: concurrency as usize + SPARE }),
        }
    }

    /// A kept connection that still stands, or a new one.
    pub(super) async fn take(&self) -> std::io::Result<Box<Connection>> {
        match self.kept() {
            Some(kept) => Ok(kept),
            None => self.open().await,
        }
    }

    /// A kept connection that still stands, as far as is known.
    pub(super) fn kept(&self) -> Option<Box<Connection>> {
        loop {
            let kept = self.pop()?;
            if kept.is_usable() {
                return Some(kept);
            }
        }
    }

    /// A new connection.
    pub(super) async fn open(&self) -> std::io::Result<Box<Connection>> {
        Connection::open(self.address).await
    }

    fn pop(&self) -> Option<Box<Connection>> {
        self.idle.lock().stack.pop()
    }

    /// Keeps a connection whose answer is complete, if it can be used again.
    pub(super) fn keep(&self, connection: Box<Connection>) {
        let Some(connection) = connection.into_idle() else {
            return;
        };
        let mut idle = self.idle.lock();
        if idle.stack.len() < idle.max {
            idle.stack.push(connection);
        }
    }

    /// Closes what is idle, and keeps nothing from now on.
    pub(super) fn close(&self) {
        let mut idle = self.idle.lock();
        idle.max = 0;
        idle.stack = Vec::new();
    }
}
