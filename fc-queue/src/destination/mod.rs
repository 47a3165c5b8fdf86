//! TEMPORARY until wt-dest lands.
use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use fc_core::{Context, Error, Result};

use crate::core::destination::{Address, Kind, Message};

/// Delivers.
#[async_trait]
pub trait Deliver: std::fmt::Debug + Send + Sync + 'static {
    /// Delivers.
    async fn deliver(&self, cx: Context, address: &Address, message: &Message) -> Result<()>;
}

/// Registry.
#[derive(Debug, Default)]
pub struct Destinations(pub HashMap<Kind, Arc<dyn Deliver>>);

impl Destinations {
    /// Whether.
    pub fn takes(&self, address: &Address) -> bool {
        self.0.contains_key(&address.kind())
    }
    /// Checks.
    pub fn check(&self, address: &Address) -> Result<()> {
        if self.takes(address) {
            Ok(())
        } else {
            Err(Error::invalid("destination", "cannot be reached"))
        }
    }
    /// Delivers.
    pub async fn deliver(&self, cx: Context, address: &Address, message: &Message) -> Result<()> {
        match self.0.get(&address.kind()) {
            Some(it) => it.deliver(cx, address, message).await,
            None => Err(Error::invalid("destination", "cannot be reached")),
        }
    }
}
