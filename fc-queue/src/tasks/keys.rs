//! Where the store keeps what belongs to a task.

use fc_core::{AccountId, FunctionName, Timestamp};

/// Digits of a time in a key: milliseconds until the year 2286.
const TIME_DIGITS: usize = 13;
const TIME_MAX: u64 = 9_999_999_999_999;

/// A task by name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TaskKey<'t> {
    pub(crate) account: AccountId,
    pub(crate) function: &'t str,
    pub(crate) id: &'t str,
}

/// In which order a list goes through tasks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Order {
    OldestFirst,
    NewestFirst,
}

impl TaskKey<'_> {
    /// The record.
    pub(crate) fn record(&self) -> String {
        self.under("task")
    }

    /// What the caller sent.
    pub(crate) fn payload(&self) -> String {
        self.under("task-in")
    }

    /// What the function answered in a lease.
    pub(crate) fn result(&self, fence: u64) -> String {
        format!("{}{fence}", self.results())
    }

    /// What all answers begin with.
    pub(crate) fn results(&self) -> String {
        format!("{}/", self.under("task-out"))
    }

    /// The entry of an index.
    pub(crate) fn index(&self, order: Order, accepted: u64) -> String {
        let Self { account, function, id } = self;
        let index = order.index(*account, function);
        format!("{index}{}/{id}", order.time(accepted))
    }

    fn under(&self, kind: &str) -> String {
        let Self { account, function, id } = self;
        format!("{kind}/{account}/{function}/{id}")
    }
}

impl Order {
    /// All that the indexes of this order begin with.
    pub(crate) const fn root(self) -> &'static str {
        match self {
            Self::OldestFirst => "task-old/",
            Self::NewestFirst => "task-new/",
        }
    }

    /// What the entries of a function begin with.
    pub(crate) fn index(self, account: AccountId, function: &str) -> String {
        format!("{}{account}/{function}/", self.root())
    }

    /// A time so that entries stand in this order.
    pub(crate) fn time(self, ms: u64) -> String {
        let ms = ms.min(TIME_MAX);
        let ms = match self {
            Self::OldestFirst => ms,
            Self::NewestFirst => TIME_MAX - ms,
        };
        format!("{ms:0TIME_DIGITS$}")
    }

    /// Time and id of an entry, of what stands behind [`Order::index`].
    pub(crate) fn read(self, entry: &str) -> Option<(Timestamp, &str)> {
        let (time, id) = entry.split_once('/')?;
        let is_time = time.len() == TIME_DIGITS && time.bytes().all(|byte| byte.is_ascii_digit());
        let ms: u64 = time.parse().ok().filter(|_| is_time)?;
        let ms = match self {
            Self::OldestFirst => ms,
            Self::NewestFirst => TIME_MAX - ms,
        };
        Some((Timestamp::from_unix_millis(ms), id))
    }
}

/// Account, function, time and id of an entry of [`Order::OldestFirst`], whole key.
pub(crate) fn read_oldest(key: &str) -> Option<(AccountId, FunctionName, Timestamp, &str)> {
    let rest = key.strip_prefix(Order::OldestFirst.root())?;
    let (account, rest) = rest.split_once('/')?;
    let (function, entry) = rest.split_once('/')?;
    let (time, id) = Order::OldestFirst.read(entry)?;
    Some((AccountId::new(account).ok()?, FunctionName::new(function).ok()?, time, id))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn entries_stand_in_order_and_are_read(a in 0u64..3_000_000_000_000, b in 0u64..3_000_000_000_000) {
            let account = AccountId::new("1").unwrap();
            let key = |order, ms| TaskKey { account, function: "f", id: "x" }.index(order, ms);
            prop_assert_eq!(key(Order::OldestFirst, a).cmp(&key(Order::OldestFirst, b)), a.cmp(&b));
            prop_assert_eq!(key(Order::NewestFirst, a).cmp(&key(Order::NewestFirst, b)), b.cmp(&a));
            for order in [Order::OldestFirst, Order::NewestFirst] {
                let whole = key(order, a);
                let entry = whole.strip_prefix(&order.index(account, "f")).unwrap();
                prop_assert_eq!(order.read(entry), Some((Timestamp::from_unix_millis(a), "x")));
            }
            let read = read_oldest(&key(Order::OldestFirst, a)).map(|read| (read.2, read.3.to_owned()));
            prop_assert_eq!(read, Some((Timestamp::from_unix_millis(a), "x".to_owned())));
        }
    }

    #[test]
    fn what_is_no_entry_is_not_read() {
        for entry in ["", "1/x", "0000000000001", "+000000000001/x", "00000000000001/x"] {
            assert_eq!(Order::OldestFirst.read(entry), None, "{entry}");
        }
    }
}
