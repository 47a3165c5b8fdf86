//! Cycles of functions that are each other's destinations (ASY-8).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use fc_core::{AccountId, Error, FunctionName, Result};

/// How many functions of a cycle an error names.
const NAMED_MAX: usize = 8;

/// A function, whatever its version: settings are a qualifier's, but which of them holds for a result
/// depends on aliases that move.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FunctionKey {
    /// Whose.
    pub account: AccountId,
    /// Its name.
    pub function: FunctionName,
}

/// Which functions' results go to which functions, on success or on failure.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Edges(BTreeMap<FunctionKey, BTreeSet<FunctionKey>>);

impl Edges {
    /// Results of `from` go to `to`.
    pub fn add(&mut self, from: FunctionKey, to: FunctionKey) {
        self.0.entry(from).or_default().insert(to);
    }

    /// A shortest cycle through `start`, which is its first and its last; `None`: there is none.
    ///
    /// The cost is that of looking at each edge once.
    pub fn cycle_through(&self, start: &FunctionKey) -> Option<Vec<&FunctionKey>> {
        let (start, first) = self.0.get_key_value(start)?;
        let mut came_from: BTreeMap<&FunctionKey, &FunctionKey> = BTreeMap::new();
        let mut next: VecDeque<_> = first.iter().map(|to| (start, to)).collect();
        while let Some((from, at)) = next.pop_front() {
            if came_from.contains_key(at) {
                continue;
            }
            came_from.insert(at, from);
            if at == start {
                return Some(path(&came_from, start));
            }
            next.extend(self.0.get(at).into_iter().flatten().map(|to| (at, to)));
        }
        None
    }

    /// Refuses what `changed`, whose edges are new, closes.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` that names the cycle.
    pub fn check(&self, changed: &FunctionKey) -> Result<()> {
        match self.cycle_through(changed) {
            None => Ok(()),
            Some(cycle) => Err(Error::invalid(
                "destination_config",
                format_args!("closes the cycle {}", Named(&cycle)),
            )),
        }
    }
}

/// Back from `start` to where it was first left.
fn path<'e>(
    came_from: &BTreeMap<&'e FunctionKey, &'e FunctionKey>,
    start: &'e FunctionKey,
) -> Vec<&'e FunctionKey> {
    let mut path = vec![start];
    let mut at = came_from.get(start);
    while let Some(from) = at {
        path.push(from);
        at = if *from == start { None } else { came_from.get(from) };
    }
    path.reverse();
    path
}

struct Named<'e>(&'e [&'e FunctionKey]);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let account = self.0.first().map(|key| key.account);
        let name = |key: &FunctionKey| {
            if Some(key.account) == account {
                key.function.to_string()
            } else {
                format!("{}/{}", key.account, key.function)
            }
        };
        let (last, before) = match self.0.split_last() {
            Some(split) => split,
            None => return Ok(()),
        };
        for key in before.iter().take(NAMED_MAX) {
            write!(f, "{} -> ", name(key))?;
        }
        if before.len() > NAMED_MAX {
            write!(f, "… {} more … -> ", before.len() - NAMED_MAX)?;
        }
        f.write_str(&name(last))
    }
}
