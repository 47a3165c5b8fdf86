//! Descriptors that the reactor tells about.

use std::os::fd::OwnedFd;

use fc_core::Result;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::failed;

/// `descriptor` as one whose readability can be waited for.
pub(super) fn readable(descriptor: OwnedFd) -> Result<AsyncFd<OwnedFd>> {
    // Its replacement is `unsafe`, for types that may change or close their descriptor meanwhile.
    // An `OwnedFd` does neither, so the safe constructor is sound here.
    #[allow(deprecated)]
    AsyncFd::with_interest(descriptor, Interest::READABLE).map_err(failed("reactor"))
}
