//! The engine in adversity: random lives by seed, a witness that judges them, and planted bugs that
//! the witness must find.

mod invariant;
mod life;
mod neighbours;
mod sabotage;
mod witness;

pub use invariant::{Broken, Invariant};
pub use life::Chaos;
pub use neighbours::Neighbours;
pub use sabotage::Sabotage;
pub(in crate::sim) use witness::Witness;
