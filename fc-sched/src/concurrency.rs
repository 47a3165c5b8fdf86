//! How many requests an account may run at once (QUO-3).

use std::sync::Arc;

use fc_core::AccountId;

use crate::core::quota::{Concurrency, Exceeded};
use crate::sync::HashMap;

/// What one account runs at once, and may.
pub(crate) type AccountExecutions = Concurrency;

/// All accounts' executions. A pool looks its account's up once, so that a warm request touches one
/// counter, and none where there is no limit.
#[derive(Debug)]
pub(crate) struct Executions {
    limit: Option<u32>,
    /// Kept for as long as the scheduler is: two words for each account that ever invoked.
    accounts: HashMap<AccountId, Arc<AccountExecutions>>,
}

/// One execution. Dropped, it is over.
#[derive(Debug)]
pub(crate) struct ExecutionPermit(Arc<AccountExecutions>);

impl Executions {
    pub(crate) fn new(limit: Option<u32>) -> Self {
        Self { limit, accounts: HashMap::default() }
    }

    /// The account's counter, if it has a limit.
    pub(crate) fn of(&self, account: AccountId) -> Option<Arc<AccountExecutions>> {
        let limit = self.limit?;
        let new = || Arc::new(Concurrency::new(limit));
        Some(self.accounts.pin().get_or_insert_with(account, new).clone())
    }
}

impl Executions {
    /// Another limit for one account.
    pub(crate) fn set_limit(&self, account: AccountId, limit: u32) {
        if let Some(executions) = self.of(account) {
            executions.set_limit(limit);
        }
    }
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
