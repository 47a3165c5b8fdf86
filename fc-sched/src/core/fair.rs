//! Who gets what falls free: fair between accounts, and between the functions of one.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Debug;
use std::hash::Hash;

use fc_core::AccountId;

/// Functions that want instances, in the order in which they get them.
///
/// Fair queueing in two levels: whoever has been given least since the line was joined is next, first
/// among accounts, then among the functions of that account. What counts is the cost that
/// [`FairLine::served`] is told, so that large instances count for more. Who joins begins where those
/// who wait are, neither ahead for having been away nor behind. A wish is a level: how many
/// instances a function wants now, not how often it asked.
///
/// Memory is held for those who want something alone; each operation takes logarithmic time in their
/// number.
///
/// ```
/// use fc_core::AccountId;
/// use fc_sched::core::FairLine;
///
/// let (noisy, quiet) = (AccountId::new("noisy")?, AccountId::new("quiet")?);
/// let mut line = FairLine::default();
/// line.want(noisy, "a", 100_000);
/// line.want(quiet, "b", 1);
/// line.begin_pass();
/// let first = line.head().unwrap();
/// line.served(first, 512);
/// let second = line.head().unwrap();
/// assert_ne!(first, second, "however many one wants, the other is next");
/// # Ok::<(), fc_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct FairLine<K> {
    accounts: HashMap<AccountId, Account<K>, foldhash::fast::RandomState>,
    wishes: HashMap<K, Wish, foldhash::fast::RandomState>,
    /// Accounts by what they were given, then by when they came: those not passed over.
    order: BTreeSet<(u64, u64, AccountId)>,
    /// Functions and accounts that are passed over until the next pass.
    passed_over: Vec<K>,
    passed_over_accounts: Vec<AccountId>,
    /// What the account served last had been given: where newcomers begin.
    given: u64,
    /// Tells equals apart by age.
    arrivals: u64,
}

#[derive(Clone, Debug)]
struct Account<K> {
    given: u64,
    arrival: u64,
    order: BTreeSet<(u64, u64, K)>,
    /// What its function served last had been given.
    function_given: u64,
    /// Functions that want something, those passed over included.
    functions: usize,
    passed_over: bool,
}

#[derive(Clone, Copy, Debug)]
struct Wish {
    account: AccountId,
    level: u32,
    given: u64,
    arrival: u64,
    passed_over: bool,
}

impl<K> Default for FairLine<K> {
    fn default() -> Self {
        Self {
            accounts: HashMap::default(),
            wishes: HashMap::default(),
            order: BTreeSet::new(),
            passed_over: Vec::new(),
            passed_over_accounts: Vec::new(),
            given: 0,
            arrivals: 0,
        }
    }
}

impl<K: Copy + Ord + Hash + Debug> FairLine<K> {
    /// How many functions want something.
    pub fn len(&self) -> usize {
        self.wishes.len()
    }

    /// Whether nobody wants anything.
    pub fn is_empty(&self) -> bool {
        self.wishes.is_empty()
    }

    /// How many instances a function wants.
    pub fn level(&self, key: K) -> u32 {
        self.wishes.get(&key).map_or(0, |wish| wish.level)
    }

    /// `key` of `account` wants so many instances now; none: it leaves the line.
    pub fn want(&mut self, account: AccountId, key: K, level: u32) {
        if level == 0 {
            self.leave(key);
        } else if let Some(wish) = self.wishes.get_mut(&key) {
            wish.level = level;
        } else {
            self.join(account, key, level);
        }
    }

    /// `key` leaves the line.
    pub fn leave(&mut self, key: K) {
        let Some(wish) = self.wishes.remove(&key) else {
            return;
        };
        let Some(account) = self.accounts.get_mut(&wish.account) else {
            return;
        };
        account.order.remove(&(wish.given, wish.arrival, key));
        account.functions -= 1;
        if account.functions == 0 {
            self.order.remove(&(account.given, account.arrival, wish.account));
            self.accounts.remove(&wish.account);
        } else {
            self.list(wish.account);
        }
    }

    /// Whoever was passed over has their turn again, where they were.
    pub fn begin_pass(&mut self) {
        for key in std::mem::take(&mut self.passed_over) {
            // Who has left, and perhaps come again, is not passed over any more.
            if let Some(wish) = self.wishes.get_mut(&key).filter(|wish| wish.passed_over) {
                wish.passed_over = false;
                let (account, place) = (wish.account, (wish.given, wish.arrival, key));
                if let Some(account) = self.accounts.get_mut(&account) {
                    account.order.insert(place);
                }
                self.list(account);
            }
        }
        for id in std::mem::take(&mut self.passed_over_accounts) {
            if let Some(account) = self.accounts.get_mut(&id) {
                account.passed_over = false;
            }
            self.list(id);
        }
    }

    /// Whose turn it is.
    pub fn head(&self) -> Option<K> {
        let (_, _, account) = self.order.first()?;
        let (_, _, key) = self.accounts.get(account)?.order.first()?;
        Some(*key)
    }

    /// `key` was given one instance, which costs so much.
    pub fn served(&mut self, key: K, cost: u64) {
        let Some(wish) = self.wishes.get_mut(&key) else {
            return;
        };
        let id = wish.account;
        let Some(account) = self.accounts.get_mut(&id) else {
            return;
        };
        self.order.remove(&(account.given, account.arrival, id));
        account.order.remove(&(wish.given, wish.arrival, key));
        self.given = self.given.max(account.given);
        account.function_given = account.function_given.max(wish.given);
        account.given = account.given.saturating_add(cost);
        wish.given = wish.given.saturating_add(cost);
        wish.level -= 1;
        if wish.level == 0 {
            self.leave(key);
        } else {
            account.order.insert((wish.given, wish.arrival, key));
        }
        self.list(id);
    }

    /// `key` cannot be served now: others have their turn until the next pass.
    pub fn pass_over(&mut self, key: K) {
        let Some(wish) = self.wishes.get_mut(&key).filter(|wish| !wish.passed_over) else {
            return;
        };
        wish.passed_over = true;
        self.passed_over.push(key);
        let id = wish.account;
        if let Some(account) = self.accounts.get_mut(&id) {
            account.order.remove(&(wish.given, wish.arrival, key));
            if account.order.is_empty() {
                self.order.remove(&(account.given, account.arrival, id));
            }
        }
    }

    /// Nothing of the account of `key` can be served now.
    pub fn pass_over_account(&mut self, key: K) {
        let Some(id) = self.wishes.get(&key).map(|wish| wish.account) else {
            return;
        };
        if let Some(account) = self.accounts.get_mut(&id) {
            account.passed_over = true;
            self.passed_over_accounts.push(id);
            self.order.remove(&(account.given, account.arrival, id));
        }
    }

    fn join(&mut self, id: AccountId, key: K, level: u32) {
        self.arrivals += 1;
        let arrival = self.arrivals;
        let account = self.accounts.entry(id).or_insert_with(|| Account {
            given: self.given,
            arrival,
            order: BTreeSet::new(),
            function_given: 0,
            functions: 0,
            passed_over: false,
        });
        let given = account.function_given;
        account.order.insert((given, arrival, key));
        account.functions += 1;
        let wish = Wish { account: id, level, given, arrival, passed_over: false };
        self.wishes.insert(key, wish);
        self.list(id);
    }

    /// The account stands in the order if, and only if, one of its functions can be served.
    fn list(&mut self, id: AccountId) {
        if let Some(account) = self.accounts.get(&id) {
            let place = (account.given, account.arrival, id);
            if account.passed_over || account.order.is_empty() {
                self.order.remove(&place);
            } else {
                self.order.insert(place);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::needless_range_loop, reason = "pairs of accounts are a matrix")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(number: usize) -> AccountId {
        AccountId::new(&format!("a{number}")).unwrap()
    }

    #[test]
    fn i33_what_one_account_wants_does_not_move_another() {
        let mut line = FairLine::default();
        (0..100).for_each(|key| line.want(id(0), key, 1_000));
        line.want(id(1), 1_000, 10);
        let mut turns = Vec::new();
        for turn in 0..40 {
            line.begin_pass();
            let key = line.head().unwrap();
            line.served(key, 512);
            if key == 1_000 {
                turns.push(turn);
            }
        }
        assert_eq!(turns, [1, 3, 5, 7, 9, 11, 13, 15, 17, 19], "every other turn");
    }

    #[test]
    fn who_is_passed_over_keeps_the_turn() {
        let mut line = FairLine::default();
        line.want(id(0), 0, 2);
        line.want(id(1), 1, 2);
        line.begin_pass();
        line.pass_over(0);
        assert_eq!(line.head(), Some(1));
        line.served(1, 10);
        line.pass_over_account(1);
        assert_eq!(line.head(), None);
        line.begin_pass();
        assert_eq!(line.head(), Some(0));
    }

    #[test]
    fn who_comes_late_is_not_ahead() {
        let mut line = FairLine::default();
        line.want(id(0), 0, 1_000);
        for _ in 0..100 {
            line.served(0, 10);
        }
        line.want(id(1), 1, 1_000);
        let served: Vec<_> = (0..20)
            .map(|_| {
                let key = line.head().unwrap();
                line.served(key, 10);
                key
            })
            .collect();
        let ones = served.iter().filter(|key| **key == 1).count();
        assert!((9..=11).contains(&ones), "{served:?}");
    }

    proptest! {
        /// Levels are exact, and while two accounts both wait, what they are given differs by no
        /// more than one instance of each.
        #[test]
        fn shares_are_equal_whatever_is_wanted(
            steps in prop::collection::vec((0u8..6, 0usize..3, 0usize..3, 0u32..50, 1u64..100), 1..300),
        ) {
            let mut line = FairLine::default();
            let mut model: HashMap<usize, u32> = HashMap::new();
            // What each account was given since both of a pair have waited without a break.
            let mut gap = [[0i64; 3]; 3];
            let waits = |model: &HashMap<usize, u32>, account: usize| {
                (0..3).any(|f| model.get(&(account * 3 + f)).is_some_and(|level| *level > 0))
            };
            for (step, account, function, level, cost) in steps {
                let key = account * 3 + function;
                let before = [0, 1, 2].map(|a| waits(&model, a));
                match step {
                    0 | 1 => {
                        line.want(id(account), key, level);
                        model.insert(key, level);
                    }
                    _ => {
                        line.begin_pass();
                        let head = line.head();
                        prop_assert_eq!(head.is_some(), before.contains(&true));
                        if let Some(key) = head {
                            line.served(key, cost);
                            let level = model.get_mut(&key).unwrap();
                            prop_assert!(*level > 0, "served without a wish");
                            *level -= 1;
                            for other in 0..3 {
                                gap[key / 3][other] += cost as i64;
                                gap[other][key / 3] -= cost as i64;
                            }
                        }
                    }
                }
                let after = [0, 1, 2].map(|a| waits(&model, a));
                #[allow(clippy::needless_range_loop, reason = "a matrix of pairs")]
                for one in 0..3 {
                    for other in 0..3 {
                        if one != other && (!after[one] || !after[other]) {
                            gap[one][other] = 0;
                        } else if one != other {
                            prop_assert!(gap[one][other].abs() <= 200, "{gap:?}");
                        }
                    }
                }
                for (key, level) in &model {
                    prop_assert_eq!(line.level(*key), *level);
                }
                prop_assert_eq!(line.len(), model.values().filter(|level| **level > 0).count());
            }
        }
    }
}
