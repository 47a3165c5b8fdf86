//! Whether the platform takes an invocation at all.

use std::sync::atomic::{AtomicBool, Ordering};

use fc_core::{Error, ErrorKind, Result};

/// Open until the platform shuts down.
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
        self.closed.load(Ordering::Acquire)
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }
}
