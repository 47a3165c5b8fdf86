//! Which functions have a lane of their own (ASY-7).

use std::collections::HashMap;

use fc_core::{AccountId, FunctionName};

/// Bounds of a [`Sideline`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SidelineLimits {
    /// Tasks of one function that wait in its account's lane, or run, before it gets its own.
    pub enter: u64,
    /// With so few in all, it goes back.
    pub leave: u64,
}

/// Counts the tasks of functions, and says which of them are busy enough for a lane of their own: so a
/// backlog of one does not stand before the tasks of its account's others.
///
/// Only what this process has seen is counted: tasks that another enqueued are counted when they are
/// run here, and never below zero.
#[derive(Debug)]
pub struct Sideline {
    limits: SidelineLimits,
    functions: HashMap<(AccountId, FunctionName), Load>,
}

#[derive(Debug, Default)]
struct Load {
    tasks: u64,
    is_aside: bool,
}

impl Sideline {
    /// Nobody is busy.
    pub fn new(limits: SidelineLimits) -> Self {
        Self { limits, functions: HashMap::new() }
    }

    /// A task of this function is to be queued: whether in the function's own lane.
    pub fn enqueue(&mut self, account: AccountId, function: &FunctionName) -> bool {
        let load = self.functions.entry((account, function.clone())).or_default();
        load.tasks += 1;
        load.is_aside |= load.tasks > self.limits.enter;
        load.is_aside
    }

    /// A task of this function is over, or was not queued after all.
    pub fn over(&mut self, account: AccountId, function: &FunctionName) {
        let key = (account, function.clone());
        if let Some(load) = self.functions.get_mut(&key) {
            load.tasks = load.tasks.saturating_sub(1);
            load.is_aside &= load.tasks > self.limits.leave;
            if load.tasks == 0 {
                self.functions.remove(&key);
            }
        }
    }

    /// Functions that have tasks.
    pub fn len(&self) -> usize {
        self.functions.len()
    }

    /// Whether no function has tasks.
    pub fn is_empty(&self) -> bool {
        self.functions.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// ASY-7, against a model that keeps every step.
        #[test]
        fn asy_7_busy_functions_stand_aside(steps in prop::collection::vec((0usize..3, any::<bool>()), 0..200)) {
            let account = AccountId::new("1").unwrap();
            let names: Vec<_> = ["a", "b", "c"].map(|name| FunctionName::new(name).unwrap()).into();
            let mut sideline = Sideline::new(SidelineLimits { enter: 5, leave: 2 });
            let (mut tasks, mut aside) = ([0u64; 3], [false; 3]);
            for (which, is_new) in steps {
                if is_new {
                    tasks[which] += 1;
                    aside[which] = aside[which] || tasks[which] > 5;
                    prop_assert_eq!(sideline.enqueue(account, &names[which]), aside[which]);
                } else {
                    tasks[which] = tasks[which].saturating_sub(1);
                    aside[which] = aside[which] && tasks[which] > 2;
                    sideline.over(account, &names[which]);
                }
                prop_assert_eq!(sideline.len(), tasks.iter().filter(|count| **count > 0).count());
            }
        }
    }
}
