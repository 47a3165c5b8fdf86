//! How invocations come over time.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use fc_core::{Error, Result};

/// How invocations come over time. In the mean, each pattern has the rate of its configuration.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Pattern {
    /// Independently of each other, at a constant rate.
    Poisson,
    /// Independently of each other, at a rate that follows a sine: lowest at the start of each
    /// period, highest in its middle.
    Diurnal {
        /// From one low to the next.
        period: Duration,
        /// How far the rate swings, as a share of its mean: 0 is constant, 1 reaches 0.
        swing: f64,
    },
    /// Some as in [`Pattern::Poisson`], the others in bursts, each of one function.
    Bursts {
        /// The share of invocations that come in bursts, 0 to 1.
        share: f64,
        /// Invocations of a burst.
        size: u32,
        /// A burst's invocations come anywhere within this time.
        length: Duration,
    },
}

impl Pattern {
    /// The names of the patterns.
    pub const NAMES: [&str; 3] = ["poisson", "diurnal", "bursts"];
}

/// A pattern by its name, with these numbers: a day with a swing of a half, since a "constant
/// baseline of roughly 50% of the invocations" is what *Serverless in the Wild* (section 3.3,
/// figure 4) sees under the day's; half of the invocations in bursts of 100 within a second.
impl FromStr for Pattern {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "poisson" => Ok(Self::Poisson),
            "diurnal" => Ok(Self::Diurnal { period: Duration::from_secs(86_400), swing: 0.5 }),
            "bursts" => Ok(Self::Bursts { share: 0.5, size: 100, length: Duration::from_secs(1) }),
            _ => {
                let known = Self::NAMES.join(", ");
                Err(Error::invalid("pattern", format_args!("{name:?} is none of {known}")))
            }
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Poisson => Self::NAMES[0],
            Self::Diurnal { .. } => Self::NAMES[1],
            Self::Bursts { .. } => Self::NAMES[2],
        })
    }
}
