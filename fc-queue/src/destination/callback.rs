//! Results as calls in this process.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_trait::async_trait;
use fc_core::{AccountId, Clock, Context, Error, Result, Retry};
use futures_util::FutureExt;

use super::Deliver;
use crate::core::destination::{Address, Message};

/// Takes results in this process.
///
/// Any `Fn(Message) -> impl Future<Output = Result<()>>` is one.
#[async_trait]
pub trait Callback: Send + Sync + 'static {
    /// Takes one result. A result may come again: its id says so.
    ///
    /// # Errors
    ///
    /// As [`Deliver::deliver`]: the retry class says whether it is to come again.
    async fn call(&self, message: Message) -> Result<()>;
}

#[async_trait]
impl<F, R> Callback for F
where
    F: Fn(Message) -> R + Send + Sync + 'static,
    R: Future<Output = Result<()>> + Send,
{
    async fn call(&self, message: Message) -> Result<()> {
        self(message).await
    }
}

/// Delivers to `callback:{name}`.
///
/// Every account can name every callback: [`Message::account`] says whose result it is. A callback that
/// panics has failed, and gets the result again.
#[derive(Clone)]
pub struct CallbackDelivery {
    clock: Arc<dyn Clock>,
    by_name: BTreeMap<String, Arc<dyn Callback>>,
}

impl CallbackDelivery {
    /// No callbacks.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, by_name: BTreeMap::new() }
    }

    /// `callback` is called `name`, in the place of the one that was.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a name that no address can have.
    pub fn with(mut self, name: &str, callback: impl Callback) -> Result<Self> {
        format!("callback:{name}").parse::<Address>()?;
        self.by_name.insert(name.to_owned(), Arc::new(callback));
        Ok(self)
    }

    fn of(&self, address: &Address) -> Result<&Arc<dyn Callback>> {
        let Address::Callback(name) = address else {
            return Err(Error::invalid("destination", "is no callback"));
        };
        self.by_name.get(&**name).ok_or_else(|| {
            Error::invalid("destination", format_args!("there is no callback '{name}'"))
        })
    }
}

#[async_trait]
impl Deliver for CallbackDelivery {
    fn check(&self, _: AccountId, address: &Address) -> Result<()> {
        self.of(address).map(drop)
    }

    async fn deliver(&self, cx: Context, address: &Address, message: &Message) -> Result<()> {
        let callback = self.of(address)?;
        let call = AssertUnwindSafe(callback.call(message.clone())).catch_unwind();
        match self.clock.with_deadline(cx.deadline.soft, call).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Error::internal("the callback panicked").with_retry(Retry::Safe)),
            Err(elapsed) => Err(Error::internal("the callback did not end in time")
                .with_retry(Retry::Safe)
                .with_source(elapsed)),
        }
    }
}

impl fmt::Debug for CallbackDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.by_name.keys()).finish()
    }
}
