//! How many requests an account may run at once (QUO-3).

use std::sync::Arc;

use fc_core::AccountId;

use crate::core::quota::{Concurrency, Exceeded};
use crate::sync::{HashMap, table};

/// What one account runs at once, and may.
pub(crate) type AccountExecutions = Concurrency;

/// All accounts' executions. Where accounts have quotas all are counted, also those that have no
/// limit: they may get one while requests run, and it holds at once (I15).
#[derive(Debug)]
pub(crate) struct Executions {
    /// What an account may unless it was told otherwise; `None`: accounts have no quota.
    limit: Option<u32>,
    /// Kept for as long as the scheduler is: two words for each account that ever invoked.
    accounts: HashMap<AccountId, Arc<AccountExecutions>>,
}

/// One execution. Dropped, it is over.
#[derive(Debug)]
pub(crate) struct ExecutionPermit(Arc<AccountExecutions>);

impl Executions {
    /// `limit`: `None`: accounts have no quota; `Some(None)`: a quota that does not limit this.
    pub(crate) fn new(limit: Option<Option<u32>>) -> Self {
        Self { limit: limit.map(unlimited_if_none), accounts: table() }
    }

    /// The account's counter, if accounts have quotas.
    pub(crate) fn of(&self, account: AccountId) -> Option<Arc<AccountExecutions>> {
        let limit = self.limit?;
        let new = || Arc::new(Concurrency::new(limit));
        Some(self.accounts.pin().get_or_insert_with(account, new).clone())
    }
}

impl Executions {
    /// Another limit for one account; `None`: no limit.
    pub(crate) fn set_limit(&self, account: AccountId, limit: Option<u32>) {
        if let Some(executions) = self.of(account) {
            executions.set_limit(unlimited_if_none(limit));
        }
    }
}

/// More than can run at once.
fn unlimited_if_none(limit: Option<u32>) -> u32 {
    limit.unwrap_or(u32::MAX)
}

impl ExecutionPermit {
    /// # Errors
    ///
    /// The limit is used up.
    pub(crate) fn take(of: &Arc<AccountExecutions>) -> Result<Self, Exceeded> {
        of.take()?;
        Ok(Self(of.clone()))
    }
}

impl Drop for ExecutionPermit {
    fn drop(&mut self) {
        self.0.give();
    }
}
