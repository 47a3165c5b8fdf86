//! How a function is found without making a key.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use fc_core::{AccountId, FunctionName};
use papaya::Equivalent;

/// Whose function, and which. The account is shared by its functions' keys.
pub(crate) struct Key {
    pub(crate) account: Arc<AccountId>,
    pub(crate) name: FunctionName,
}

impl Key {
    fn sought(&self) -> Sought<'_> {
        Sought { account: &self.account, name: self.name.as_str() }
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.sought() == other.sought()
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.sought().hash(state);
    }
}

/// A [`Key`] on loan.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sought<'a> {
    pub(crate) account: &'a AccountId,
    pub(crate) name: &'a str,
}

impl Hash for Sought<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // The text, not the 47 bytes that hold it.
        self.account.as_str().hash(state);
        self.name.hash(state);
    }
}

impl Equivalent<Key> for Sought<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        *self == key.sought()
    }
}

/// A name in an ordered set that is searched by text.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Listed(pub(crate) FunctionName);

impl Borrow<str> for Listed {
    fn borrow(&self) -> &str {
        self.0.as_str()
    }
}
