//! What a simulation found, as a table, as JSON and as a picture.

mod json;
mod outcome;
mod plot;
mod table;
mod waits;

pub use json::json_line;
pub use outcome::{Fragmentation, Outcome, Sample};
pub use plot::plot_svg;
pub use table::table;
pub use waits::Waits;
