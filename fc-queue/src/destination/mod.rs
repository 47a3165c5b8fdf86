//! What delivers results (ASY-5).
//!
//! Functions and lanes get theirs through the engine's own queue; everything else through a
//! [`Deliver`] that the product has put into the [`Registry`]. Each delivery is at least once: what may
//! have arrived and is not known to have is sent again with the same id.

mod callback;
pub mod http;
#[cfg(feature = "nats")]
mod nats;
mod registry;

use std::fmt::Debug;

use async_trait::async_trait;
use fc_core::{AccountId, Context, Result};

use crate::core::destination::{Address, Message};

pub use callback::{Callback, CallbackDelivery};
#[cfg(feature = "nats")]
pub use nats::NatsDelivery;
pub use registry::Registry;

/// Delivers results to destinations of some kinds.
#[async_trait]
pub trait Deliver: Debug + Send + Sync + 'static {
    /// Proves, when `owner` configures it, that `address` can be delivered to as far as is known without
    /// asking it.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` or `AccessDenied` that says why not.
    fn check(&self, owner: AccountId, address: &Address) -> Result<()>;

    /// Delivers `message` once, durably on return as far as the receiver can say so.
    ///
    /// # Errors
    ///
    /// [`Error::retry`](fc_core::Error::retry) says what to do: `Safe` and `After` mean to try again,
    /// also where it may have arrived; any other class means to give up. No error shows more of the
    /// address than scheme and host.
    ///
    /// # Cancel safety
    ///
    /// A dropped call may have delivered: deliver the same message again.
    async fn deliver(&self, cx: Context, address: &Address, message: &Message) -> Result<()>;
}
