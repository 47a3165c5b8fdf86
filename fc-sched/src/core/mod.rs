//! What the scheduler decides with: synchronous functions of state, event and `now`.

mod chain;
mod fair;
mod instance;
mod keeper;
mod line;
mod load;
pub mod placement;
pub mod policy;
mod pool;
pub mod quota;
mod running;
mod slots;
pub mod supply;

pub use fair::FairLine;
pub use instance::{Class, InstanceState, Phase};
pub use keeper::Keeper;
pub use line::{Line, WaiterKey};
pub use load::LoadReading;
pub use pool::{
    Acquire, Effect, Levels, Pool, PoolRules, PoolUse, Refusal, Release, SlotKey, StopReason,
    WaitsFor, Worth,
};
pub use slots::{InstanceKey, SlotTable};
