//! Names to addresses.

use std::fmt::Debug;
use std::net::IpAddr;

use async_trait::async_trait;
use fc_core::{Error, Result, Retry};

/// Turns names into addresses.
#[async_trait]
pub trait Resolve: Debug + Send + Sync + 'static {
    /// All addresses of `host`, which may be an address itself, in the order of preference.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from knowing: it is asked again.
    async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>>;
}

/// As the machine does.
#[derive(Clone, Copy, Debug)]
pub struct SystemResolver;

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>> {
        let found = tokio::net::lookup_host((host, 0)).await.map_err(|error| {
            let message = format!("the name '{host}' was not resolved");
            Error::internal(message).with_retry(Retry::Safe).with_source(error)
        })?;
        Ok(found.map(|address| address.ip()).collect())
    }
}
