//! What the scheduler decides with: synchronous functions of state, event and `now`.

mod chain;
mod instance;
mod line;
mod pool;
pub mod quota;
mod running;
mod slots;

pub use instance::{InstanceState, Phase};
pub use line::{Line, WaiterKey};
pub use pool::{Acquire, Effect, Pool, PoolRules, PoolUse, Refusal, Release, SlotKey, StopReason};
pub use slots::{InstanceKey, SlotTable};
