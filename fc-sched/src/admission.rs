//! Whether the platform takes an invocation at all.

use fc_core::{Error, ErrorKind, Result};

use crate::sync::atomic::{AtomicBool, Ordering};

/// Open until the platform shuts down.
///
/// Sequentially consistent: of a request that adds a pool and then looks at the gate, and a shutdown
/// that closes the gate and then looks at the pools, one sees the other.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    closed: AtomicBool,
}

impl Gate {
    /// Takes the invocation, or says why not.
    pub(crate) fn admit(&self) -> Result<()> {
        if self.is_closed() {
            let message = "the platform is shutting down and takes no new invocation";
            return Err(Error::new(ErrorKind::ResourceThrottled, message));
        }
        Ok(())
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }
}
