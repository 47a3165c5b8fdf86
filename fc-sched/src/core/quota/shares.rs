//! What each function may hold of its account's instances.

use std::collections::HashMap;

use fc_core::FunctionName;

use super::{Exceeded, Quota};

/// Reservations, and what is held under them (QUO-3).
///
/// A function with a reservation has that many instances to itself and never more; the others share
/// what all reservations leave of the account's total. Without a total a reservation is a maximum.
/// Memory is held for functions that hold something or have a reservation alone.
#[derive(Clone, Debug, Default)]
pub struct Shares {
    functions: HashMap<FunctionName, Share, foldhash::fast::RandomState>,
    /// Of all functions.
    reserved: u64,
    /// Held by functions that have a reservation.
    held_reserved: u64,
    provisioned: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Share {
    held: u32,
    reserved: Option<u32>,
    provisioned: u32,
}

impl Shares {
    /// What `function` holds.
    pub fn held(&self, function: &FunctionName) -> u32 {
        self.functions.get(function).map_or(0, |share| share.held)
    }

    /// What is reserved for `function`.
    pub fn reserved(&self, function: &FunctionName) -> Option<u32> {
        self.functions.get(function)?.reserved
    }

    pub(super) fn is_empty(&self) -> bool {
        self.functions.is_empty()
    }

    /// Whether `function` may have one instance more, of `max` of which `used` are held.
    pub(super) fn check(
        &self,
        function: &FunctionName,
        used: u64,
        max: Option<u64>,
    ) -> Result<(), Exceeded> {
        let exceeded =
            |quota, limit, used| Err(Exceeded { quota, limit, used, asked: 1, retry_after: None });
        if let Some(Share { held, reserved: Some(reserved), .. }) = self.functions.get(function) {
            return if held < reserved {
                Ok(())
            } else {
                exceeded(Quota::Reserved, (*reserved).into(), (*held).into())
            };
        }
        if self.reserved > 0
            && let Some(max) = max
        {
            let limit = max.saturating_sub(self.reserved);
            let used = used.saturating_sub(self.held_reserved);
            if used >= limit {
                return exceeded(Quota::Unreserved, limit, used);
            }
        }
        Ok(())
    }

    pub(super) fn taken(&mut self, function: &FunctionName) {
        let share = match self.functions.get_mut(function) {
            Some(share) => share,
            None => self.functions.entry(function.clone()).or_default(),
        };
        share.held += 1;
        self.held_reserved += u64::from(share.reserved.is_some());
    }

    pub(super) fn given(&mut self, function: &FunctionName) {
        let Some(share) = self.functions.get_mut(function) else {
            debug_assert!(false, "a function gave back what it did not hold");
            return;
        };
        share.held = share.held.saturating_sub(1);
        if share.reserved.is_some() {
            self.held_reserved = self.held_reserved.saturating_sub(1);
        }
        self.forget_if_unused(function);
    }

    pub(super) fn reserve(
        &mut self,
        function: &FunctionName,
        instances: Option<u32>,
        max: Option<u64>,
    ) -> Result<(), Exceeded> {
        let share = self.functions.entry(function.clone()).or_default();
        let others = self.reserved - share.reserved.map_or(0, u64::from);
        let asked = instances.map_or(0, u64::from);
        if let Some(limit) = max
            && others + asked > limit
        {
            self.forget_if_unused(function);
            let quota = Quota::Reserved;
            return Err(Exceeded { quota, limit, used: others, asked, retry_after: None });
        }
        match (share.reserved.is_some(), instances.is_some()) {
            (false, true) => self.held_reserved += u64::from(share.held),
            (true, false) => self.held_reserved -= u64::from(share.held),
            _ => {}
        }
        share.reserved = instances;
        self.reserved = others + asked;
        self.forget_if_unused(function);
        Ok(())
    }

    pub(super) fn provision(
        &mut self,
        function: &FunctionName,
        instances: u32,
        limit: Option<u64>,
    ) -> Result<(), Exceeded> {
        let share = self.functions.entry(function.clone()).or_default();
        let others = self.provisioned - u64::from(share.provisioned);
        let asked = u64::from(instances);
        if let Some(limit) = limit
            && asked > 0
            && others + asked > limit
        {
            self.forget_if_unused(function);
            let quota = Quota::Provisioned;
            return Err(Exceeded { quota, limit, used: others, asked, retry_after: None });
        }
        share.provisioned = instances;
        self.provisioned = others + asked;
        self.forget_if_unused(function);
        Ok(())
    }

    fn forget_if_unused(&mut self, function: &FunctionName) {
        let unused =
            |share: &Share| share.held == 0 && share.reserved.is_none() && share.provisioned == 0;
        if self.functions.get(function).is_some_and(unused) {
            self.functions.remove(function);
        }
    }
}

#[cfg(test)]
mod tests {
    use fc_core::{Instant, Resources};
    use proptest::prelude::*;

    use super::super::{AccountLedger, AccountQuota};
    use super::*;

    const NOW: Instant = Instant::ORIGIN;
    const SMALL: Resources = Resources { cpu_milli: 50, memory_mb: 128, disk_mb: 512 };

    fn name(number: usize) -> FunctionName {
        FunctionName::new(&format!("f{number}")).unwrap()
    }

    fn account(max: u64) -> AccountLedger {
        let mut quota = AccountQuota::function_graph();
        quota.instances.max = Some(max);
        AccountLedger::new(quota, NOW)
    }

    fn grants(account: &mut AccountLedger, function: usize) -> usize {
        std::iter::from_fn(|| account.take(&name(function), SMALL, NOW).ok()).count()
    }

    #[test]
    fn quo_3_a_reservation_is_kept_free_and_is_a_maximum() {
        let mut account = account(10);
        account.reserve(&name(0), Some(4)).unwrap();
        assert_eq!(grants(&mut account, 1), 6, "others share what is left");
        let refused = account.take(&name(1), SMALL, NOW).unwrap_err();
        assert_eq!((refused.quota, refused.limit, refused.used), (Quota::Unreserved, 6, 6));
        assert_eq!(grants(&mut account, 0), 4, "the reservation is there");
        let refused = account.take(&name(0), SMALL, NOW).unwrap_err();
        assert_eq!((refused.quota, refused.limit, refused.used), (Quota::Reserved, 4, 4));
        account.reserve(&name(0), None).unwrap();
        account.give(&name(0), SMALL);
        assert_eq!(grants(&mut account, 1), 1, "what was reserved is everybody's again");
    }

    #[test]
    fn sch_10_a_reservation_of_0_stops_a_function() {
        let mut account = account(10);
        account.reserve(&name(0), Some(0)).unwrap();
        assert_eq!(grants(&mut account, 0), 0);
        assert_eq!(grants(&mut account, 1), 10);
    }

    #[test]
    fn quo_3_reservations_do_not_exceed_the_total() {
        let mut account = account(10);
        account.reserve(&name(0), Some(6)).unwrap();
        let refused = account.reserve(&name(1), Some(5)).unwrap_err();
        assert_eq!((refused.limit, refused.used, refused.asked), (10, 6, 5));
        account.reserve(&name(1), Some(4)).unwrap();
        account.reserve(&name(0), Some(5)).unwrap();
        account.reserve(&name(1), Some(5)).unwrap();
    }

    #[test]
    fn quo_3_90_of_100_may_be_provisioned() {
        let mut account = account(1_000);
        account.provision(&name(0), 50).unwrap();
        account.provision(&name(1), 40).unwrap();
        let refused = account.provision(&name(1), 41).unwrap_err();
        assert_eq!((refused.quota, refused.limit, refused.used), (Quota::Provisioned, 90, 50));
        account.provision(&name(0), 0).unwrap();
        account.provision(&name(1), 90).unwrap();
        account.provision(&name(1), 0).unwrap();
        assert!(account.is_unused(NOW), "nothing is kept of it");
    }

    proptest! {
        /// QUO-3, QUO-4, I15: at every interleaving of starts, ends and reservations.
        #[test]
        fn quo_3_holds_at_every_interleaving(
            steps in prop::collection::vec((0u8..4, 0usize..4, 0u32..8), 0..200),
        ) {
            let max = 12;
            let mut account = account(max);
            let mut held = [0u32; 4];
            let mut reserved: [Option<u32>; 4] = [None; 4];
            for (step, function, number) in steps {
                match step {
                    0 | 1 => {
                        let all: u32 = held.iter().sum();
                        let reserved_sum: u32 = reserved.iter().flatten().sum();
                        let free: u32 =
                            (0..4).filter(|f| reserved[*f].is_none()).map(|f| held[f]).sum();
                        let fits = u64::from(all) < max && match reserved[function] {
                            Some(own) => held[function] < own,
                            None => u64::from(free + reserved_sum) < max,
                        };
                        let taken = account.take(&name(function), SMALL, NOW).is_ok();
                        prop_assert_eq!(taken, fits);
                        held[function] += u32::from(taken);
                    }
                    2 if held[function] > 0 => {
                        account.give(&name(function), SMALL);
                        held[function] -= 1;
                    }
                    2 => {}
                    _ => {
                        let asked = (number < 7).then_some(number);
                        let others: u32 = (0..4)
                            .filter(|f| *f != function)
                            .filter_map(|f| reserved[f])
                            .sum();
                        let fits = u64::from(others + asked.unwrap_or(0)) <= max;
                        prop_assert_eq!(account.reserve(&name(function), asked).is_ok(), fits);
                        if fits {
                            reserved[function] = asked;
                        }
                    }
                }
                for f in 0..4 {
                    prop_assert_eq!(account.shares().held(&name(f)), held[f]);
                    prop_assert_eq!(account.shares().reserved(&name(f)), reserved[f]);
                }
            }
        }
    }
}
