//! What an account may hold, and how fast it may grow (QUO-1, QUO-2, QUO-4).

mod account;
mod exceeded;
mod growth;

pub use account::{AccountLedger, AccountQuota, AccountUse, PooledQuota};
pub use exceeded::{Exceeded, Quota};
pub use growth::Growth;
