//! How long a chain of functions may become at run time.

use fc_core::{Error, ErrorKind, Result};

/// How many functions behind the first a result may pass through, unless configured (I12).
pub const DEPTH_MAX: u32 = 16;

/// How deep in its chain a function stands that gets the result of one at `depth`; a caller's own
/// invocation is at 0.
///
/// # Errors
///
/// `LimitExceeded` beyond `depth_max`: the chain is cut here, and its result is a dead letter.
pub fn next_depth(depth: u32, depth_max: u32) -> Result<u32> {
    let next = depth.saturating_add(1);
    if next <= depth_max && depth < next {
        return Ok(next);
    }
    let message = format!("destination depth: {next} functions is over the limit of {depth_max}");
    Err(Error::new(ErrorKind::LimitExceeded, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i12_a_chain_ends_at_its_depth() {
        let mut depth = 0;
        let mut invoked = 0;
        let cut = loop {
            match next_depth(depth, DEPTH_MAX) {
                Ok(next) => (depth, invoked) = (next, invoked + 1),
                Err(error) => break error,
            }
        };
        assert_eq!(invoked, 16);
        assert_eq!(cut.to_string(), "destination depth: 17 functions is over the limit of 16");
        assert_eq!(cut.retry(), fc_core::Retry::Never);
        assert!(next_depth(0, 0).is_err());
        assert!(next_depth(u32::MAX, u32::MAX).is_err());
    }
}
