//! Names of functions and accounts, by number.

use std::collections::HashMap;

use fc_core::{Error, Result};

use super::{FUNCTIONS_MAX, TraceFunction};

/// Bytes of a function's name in a file: three hashes of 64 digits fit well.
pub(super) const NAME_BYTES_MAX: usize = 256;

/// Functions in the order in which they were met.
#[derive(Debug, Default)]
pub(super) struct FunctionTable {
    functions: Vec<TraceFunction>,
    numbers: HashMap<String, u32>,
    accounts: HashMap<String, u32>,
}

impl FunctionTable {
    /// The number of the account of that name.
    pub(super) fn account(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.accounts.get(name) {
            return number;
        }
        // At most one per function, and those are bounded.
        let number = self.accounts.len() as u32;
        self.accounts.insert(name.into(), number);
        number
    }

    pub(super) fn find(&self, key: &str) -> Option<u32> {
        self.numbers.get(key).copied()
    }

    /// A function that was not met before.
    pub(super) fn add(&mut self, key: String, function: TraceFunction) -> Result<u32> {
        let number = self.functions.len();
        if number >= FUNCTIONS_MAX {
            let most = FUNCTIONS_MAX as u64;
            return Err(Error::over_limit("trace", "functions", most, most + 1));
        }
        self.functions.push(function);
        self.numbers.insert(key, number as u32);
        Ok(number as u32)
    }

    pub(super) fn name(&self, number: u32) -> &str {
        self.functions.get(number as usize).map_or("", |function| &function.name)
    }

    pub(super) fn len(&self) -> usize {
        self.functions.len()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut TraceFunction> {
        self.functions.iter_mut()
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut TraceFunction> {
        self.functions.get_mut(number as usize)
    }

    pub(super) fn into_functions(self) -> Vec<TraceFunction> {
        self.functions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_no_more_functions_than_the_limit() {
        let mut table = FunctionTable::default();
        let mut add = |number: usize| {
            let (name, memory_mb) = (String::new(), 128);
            let function = TraceFunction { name, account: 0, memory_mb, concurrency: 1 };
            table.add(number.to_string(), function)
        };
        assert!((0..FUNCTIONS_MAX).all(|number| add(number).unwrap() == number as u32));
        let refused = add(FUNCTIONS_MAX).unwrap_err();
        let expected = "trace: 1000001 functions is over the limit of 1000000";
        assert_eq!(refused.to_string(), expected);
        assert_eq!((table.len(), table.find("7")), (FUNCTIONS_MAX, Some(7)));
    }
}
