//! What an account may hold, and how fast it may grow (QUO-1 to QUO-4).

mod account;
mod concurrency;
mod exceeded;
mod growth;
mod shares;

pub use account::{AccountLedger, AccountQuota, AccountUse, PooledQuota};
pub use concurrency::Concurrency;
pub use exceeded::{Exceeded, Quota};
pub use growth::Growth;
pub use shares::Shares;
