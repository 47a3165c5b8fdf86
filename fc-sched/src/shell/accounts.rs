//! What each account holds, shared by its pools.

use std::sync::Arc;

use fc_core::{AccountId, Instant, Resources};
use papaya::HashMap;
use parking_lot::Mutex;

use crate::core::quota::{AccountLedger, AccountQuota, AccountUse, Exceeded};

/// The ledgers of all accounts that ever started an instance. Asked on a cold start, never by a warm
/// request.
#[derive(Debug)]
pub(crate) struct Accounts {
    /// `None`: accounts have no quota.
    quota: Option<AccountQuota>,
    ledgers: HashMap<AccountId, Arc<Mutex<AccountLedger>>, foldhash::fast::RandomState>,
}

/// One instance's share of its account's quota. Dropped, it is given back.
#[derive(Debug)]
pub(crate) struct QuotaPermit {
    ledger: Option<Arc<Mutex<AccountLedger>>>,
    size: Resources,
}

impl Accounts {
    pub(crate) fn new(quota: Option<AccountQuota>) -> Self {
        Self { quota, ledgers: HashMap::default() }
    }

    /// A share for one instance of this size.
    pub(crate) fn permit(
        &self,
        account: AccountId,
        size: Resources,
        now: Instant,
    ) -> Result<QuotaPermit, Exceeded> {
        let Some(quota) = self.quota else {
            return Ok(QuotaPermit { ledger: None, size });
        };
        let new = || Arc::new(Mutex::new(AccountLedger::new(quota, now)));
        let ledger = self.ledgers.pin().get_or_insert_with(account, new).clone();
        ledger.lock().take(size, now)?;
        Ok(QuotaPermit { ledger: Some(ledger), size })
    }

    pub(crate) fn used(&self, account: AccountId) -> AccountUse {
        let ledger = self.ledgers.pin().get(&account).cloned();
        ledger.map(|ledger| ledger.lock().used()).unwrap_or_default()
    }
}

impl Drop for QuotaPermit {
    fn drop(&mut self) {
        if let Some(ledger) = &self.ledger {
            ledger.lock().give(self.size);
        }
    }
}
