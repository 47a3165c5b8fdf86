//! Who delivers to what.

use std::collections::BTreeMap;
use std::sync::Arc;

use fc_core::{AccountId, Context, Error, Result};

use super::Deliver;
use crate::core::destination::{Address, Kind, Message, SizeLimits};

/// Who delivers to which kind of destination, and how large a record may be.
///
/// A kind that nobody delivers to is refused when it is configured. Functions and lanes are the
/// engine's: they are always taken, and never delivered to from here.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    by_kind: BTreeMap<Kind, Arc<dyn Deliver>>,
    limits: SizeLimits,
}

impl Registry {
    /// Nobody delivers.
    pub fn new(limits: SizeLimits) -> Self {
        Self { by_kind: BTreeMap::new(), limits }
    }

    /// `deliver` serves `kind`, in the place of whoever did.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for functions and lanes.
    pub fn serve(mut self, kind: Kind, deliver: Arc<dyn Deliver>) -> Result<Self> {
        if is_the_engine_s(kind) {
            let what = format_args!("{kind:?} destinations are the engine's own");
            return Err(Error::invalid("destination kind", what));
        }
        self.by_kind.insert(kind, deliver);
        Ok(self)
    }

    /// Whether somebody delivers to `kind`.
    pub fn serves(&self, kind: Kind) -> bool {
        self.by_kind.contains_key(&kind)
    }

    /// How large a record may be.
    pub fn limits(&self) -> &SizeLimits {
        &self.limits
    }

    /// Reads an address that `owner` configures, and proves that it can be served.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for what is no address, is of a kind that nobody delivers to, or is refused by
    /// who does; `AccessDenied` for what is another account's.
    pub fn configure(&self, owner: AccountId, text: &str) -> Result<Address> {
        let address: Address = text.parse()?;
        address.check_owner(owner)?;
        if !is_the_engine_s(address.kind()) {
            self.of(address.kind())?.check(owner, &address)?;
        }
        Ok(address)
    }

    /// Proves that a record of so many bytes may be sent there.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` that names the limit and the value: the record is a dead letter.
    pub fn check_size(&self, address: &Address, bytes: usize) -> Result<()> {
        self.limits.check(address.kind(), bytes)
    }

    /// Delivers `message` once.
    ///
    /// # Errors
    ///
    /// As [`Deliver::deliver`], and `InvalidArgument` with the class `Never` for a record over its limit
    /// or a kind that nobody delivers to any more.
    ///
    /// # Cancel safety
    ///
    /// As [`Deliver::deliver`].
    pub async fn deliver(&self, cx: Context, address: &Address, message: &Message) -> Result<()> {
        self.check_size(address, message.record().len())?;
        self.of(address.kind())?.deliver(cx, address, message).await
    }

    fn of(&self, kind: Kind) -> Result<&Arc<dyn Deliver>> {
        self.by_kind.get(&kind).ok_or_else(|| {
            Error::invalid("destination", format_args!("nobody here delivers to {kind:?}"))
        })
    }
}

const fn is_the_engine_s(kind: Kind) -> bool {
    matches!(kind, Kind::Function | Kind::Lane)
}
