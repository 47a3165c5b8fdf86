//! One account's instances, vCPU and memory.

use std::time::Duration;

use fc_core::{FunctionName, Instant, Resources};

use super::{Exceeded, Growth, Quota, Shares};

/// One pooled quantity: how much in all, how much at once, how much more a minute.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PooledQuota {
    /// In all; `None`: no limit of its own.
    pub max: Option<u64>,
    /// At once.
    pub burst: u64,
    /// More each minute, linear.
    pub per_minute: u64,
}

/// What an account may hold, and how fast it may grow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AccountQuota {
    /// Instances.
    pub instances: PooledQuota,
    /// vCPU, thousandths.
    pub cpu_milli: PooledQuota,
    /// Memory, MB.
    pub memory_mb: PooledQuota,
    /// Requests that run at once (QUO-3).
    pub concurrency: Option<u32>,
    /// How much of [`AccountQuota::concurrency`] may be provisioned instances, percent.
    pub provisioned_percent_max: u32,
}

impl AccountQuota {
    /// Alibaba Cloud Function Compute: QUO-1, QUO-2; the growth of memory from `alibaba-fc.md` 4.6.
    pub const fn function_compute() -> Self {
        const GB: u64 = 1024;
        Self {
            instances: PooledQuota { max: None, burst: 300, per_minute: 300 },
            cpu_milli: PooledQuota { max: Some(600_000), burst: 300_000, per_minute: 360_000 },
            memory_mb: PooledQuota { max: Some(1200 * GB), burst: 600 * GB, per_minute: 720 * GB },
            concurrency: None,
            provisioned_percent_max: 90,
        }
    }

    /// Huawei Cloud FunctionGraph: at most 1000 instances a tenant (QUO-2), 100 requests at once
    /// (QUO-3), else as the other.
    pub const fn function_graph() -> Self {
        let instances = PooledQuota { max: Some(1000), burst: 300, per_minute: 300 };
        Self { instances, concurrency: Some(100), ..Self::function_compute() }
    }
}

/// What an account holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AccountUse {
    /// Instances.
    pub instances: u64,
    /// vCPU, thousandths.
    pub cpu_milli: u64,
    /// Memory, MB.
    pub memory_mb: u64,
}

/// One account's use and growth, judged in constant time and exactly (QUO-4, I15).
///
/// ```
/// use fc_core::{FunctionName, Instant, Resources};
/// use fc_sched::core::quota::{AccountLedger, AccountQuota};
///
/// let (now, f) = (Instant::from_nanos(0), FunctionName::new("f")?);
/// let mut account = AccountLedger::new(AccountQuota::function_compute(), now);
/// let small = Resources { cpu_milli: 350, memory_mb: 512, disk_mb: 512 };
/// for _ in 0..300 {
///     account.take(&f, small, now)?;
/// }
/// let refused = account.take(&f, small, now).unwrap_err();
/// assert_eq!(refused.to_string(), "account quota instances_burst: 1 more over 300 of 300");
/// # Ok::<(), fc_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct AccountLedger {
    quota: AccountQuota,
    used: AccountUse,
    instances: Growth,
    cpu_milli: Growth,
    memory_mb: Growth,
    shares: Shares,
}

impl AccountLedger {
    /// An account without instances.
    pub fn new(quota: AccountQuota, now: Instant) -> Self {
        let growth = |quota: PooledQuota| Growth::new(quota.burst, quota.per_minute, now);
        Self {
            used: AccountUse::default(),
            instances: growth(quota.instances),
            cpu_milli: growth(quota.cpu_milli),
            memory_mb: growth(quota.memory_mb),
            shares: Shares::default(),
            quota,
        }
    }

    /// What it holds now.
    pub const fn used(&self) -> AccountUse {
        self.used
    }

    /// Its quota.
    pub const fn quota(&self) -> &AccountQuota {
        &self.quota
    }

    /// What each function may hold of it.
    pub fn shares(&self) -> &Shares {
        &self.shares
    }

    /// Takes one instance of this size for `function`: from all quotas, or from none.
    ///
    /// # Errors
    ///
    /// The first quota that does not allow it; totals are named before growth, since time does not
    /// help them. Of growths, the one that takes longest to allow it: then all of them do.
    pub fn take(
        &mut self,
        function: &FunctionName,
        size: Resources,
        now: Instant,
    ) -> Result<(), Exceeded> {
        let asked = [1, u64::from(size.cpu_milli), u64::from(size.memory_mb)];
        let used = [self.used.instances, self.used.cpu_milli, self.used.memory_mb];
        let max = [self.quota.instances.max, self.quota.cpu_milli.max, self.quota.memory_mb.max];
        self.shares.check(function, self.used.instances, self.quota.instances.max)?;
        let totals = [Quota::Instances, Quota::Cpu, Quota::Memory];
        for (((quota, limit), used), asked) in totals.into_iter().zip(max).zip(used).zip(asked) {
            if let Some(limit) = limit
                && used.saturating_add(asked) > limit
            {
                return Err(Exceeded { quota, limit, used, asked, retry_after: None });
            }
        }
        // Copies, kept only if all agree.
        let mut grown = [self.instances, self.cpu_milli, self.memory_mb];
        let growths = [Quota::InstanceGrowth, Quota::CpuGrowth, Quota::MemoryGrowth];
        let mut slowest: Option<Exceeded> = None;
        for ((quota, growth), asked) in growths.into_iter().zip(&mut grown).zip(asked) {
            if let Err(retry_after) = growth.take(asked, now) {
                let limit = growth.burst();
                let used = limit - growth.available(now);
                let exceeded = Exceeded { quota, limit, used, asked, retry_after };
                // Never is longer than any time.
                let wait = |exceeded: &Exceeded| exceeded.retry_after.unwrap_or(Duration::MAX);
                if slowest.as_ref().is_none_or(|slowest| wait(slowest) < wait(&exceeded)) {
                    slowest = Some(exceeded);
                }
            }
        }
        if let Some(exceeded) = slowest {
            return Err(exceeded);
        }
        [self.instances, self.cpu_milli, self.memory_mb] = grown;
        self.used.instances += asked[0];
        self.used.cpu_milli += asked[1];
        self.used.memory_mb += asked[2];
        self.shares.taken(function);
        Ok(())
    }

    /// Gives back an instance that was taken. Growth that it used stays used.
    pub fn give(&mut self, function: &FunctionName, size: Resources) {
        debug_assert!(self.used.instances > 0, "more instances given back than taken");
        let used = &mut self.used;
        used.instances = used.instances.saturating_sub(1);
        used.cpu_milli = used.cpu_milli.saturating_sub(size.cpu_milli.into());
        used.memory_mb = used.memory_mb.saturating_sub(size.memory_mb.into());
        self.shares.given(function);
    }

    /// Gives back an instance that was never started: its growth is there again as well.
    pub fn untake(&mut self, function: &FunctionName, size: Resources, now: Instant) {
        self.give(function, size);
        self.instances.put_back(1, now);
        self.cpu_milli.put_back(size.cpu_milli.into(), now);
        self.memory_mb.put_back(size.memory_mb.into(), now);
    }

    /// Other quotas from now on. What is held over a lowered one stays, and nothing is added until
    /// it fits.
    pub fn set_quota(&mut self, quota: AccountQuota, now: Instant) {
        self.instances.set(quota.instances.burst, quota.instances.per_minute, now);
        self.cpu_milli.set(quota.cpu_milli.burst, quota.cpu_milli.per_minute, now);
        self.memory_mb.set(quota.memory_mb.burst, quota.memory_mb.per_minute, now);
        self.quota = quota;
    }

    /// Reserves so many instances for `function`, which may have no more than these; `None`: it
    /// shares what others leave (QUO-3, `reservedConcurrency` in `alibaba-fc.md` 4.8).
    ///
    /// # Errors
    ///
    /// `Quota::Reserved`: all reservations together are over the account's total. Nothing changes.
    pub fn reserve(
        &mut self,
        function: &FunctionName,
        instances: Option<u32>,
    ) -> Result<(), Exceeded> {
        self.shares.reserve(function, instances, self.quota.instances.max)
    }

    /// Notes that `function` wants so many provisioned instances.
    ///
    /// # Errors
    ///
    /// `Quota::Provisioned`: all functions together are over the share of the account's concurrent
    /// executions that may be provisioned (QUO-3: 90 % for FunctionGraph). Nothing changes.
    pub fn provision(&mut self, function: &FunctionName, instances: u32) -> Result<(), Exceeded> {
        let percent = u64::from(self.quota.provisioned_percent_max);
        let limit = self.quota.concurrency.map(|limit| u64::from(limit) * percent / 100);
        self.shares.provision(function, instances, limit)
    }

    /// Whether an account that nothing is known of is just like this one.
    pub fn is_unused(&self, now: Instant) -> bool {
        let whole = |growth: &Growth| growth.available(now) == growth.burst();
        self.used == AccountUse::default()
            && self.shares.is_empty()
            && [self.instances, self.cpu_milli, self.memory_mb].iter().all(whole)
    }
}

#[cfg(test)]
mod tests {
    use fc_core::{Error, ErrorKind, Retry};
    use proptest::prelude::*;

    use super::*;

    const START: Instant = Instant::from_nanos(0);
    const SMALL: Resources = Resources { cpu_milli: 50, memory_mb: 128, disk_mb: 512 };

    fn f() -> FunctionName {
        FunctionName::new("f").unwrap()
    }

    fn granted(account: &mut AccountLedger, size: Resources, now: Instant) -> usize {
        std::iter::from_fn(|| account.take(&f(), size, now).ok()).count()
    }

    #[test]
    fn quo_2_300_at_once_the_301st_refused_then_5_a_second() {
        let mut account = AccountLedger::new(AccountQuota::function_compute(), START);
        assert_eq!(granted(&mut account, SMALL, START), 300);
        let refused = account.take(&f(), SMALL, START).unwrap_err();
        assert_eq!((refused.quota, refused.limit, refused.used), (Quota::InstanceGrowth, 300, 300));
        assert_eq!(refused.retry_after, Some(Duration::from_millis(200)));
        for second in 1..=120 {
            let now = START + Duration::from_secs(second);
            assert_eq!(granted(&mut account, SMALL, now), 5, "in second {second}");
        }
        // Nothing adds up above the burst, and what is given back does not come sooner again.
        (0..600).for_each(|_| account.give(&f(), SMALL));
        assert_eq!(granted(&mut account, SMALL, START + Duration::from_secs(120)), 0);
        assert_eq!(granted(&mut account, SMALL, START + Duration::from_secs(3_600)), 300);
    }

    #[test]
    fn quo_1_300_vcpu_at_once_then_6_a_second_up_to_600() {
        let size = Resources { cpu_milli: 2_000, memory_mb: 4_096, disk_mb: 512 };
        let mut account = AccountLedger::new(AccountQuota::function_compute(), START);
        assert_eq!(granted(&mut account, size, START), 150);
        assert_eq!(account.take(&f(), size, START).unwrap_err().quota, Quota::CpuGrowth);
        for second in 1..=50 {
            let now = START + Duration::from_secs(second);
            assert_eq!(granted(&mut account, size, now), 3, "in second {second}");
        }
        assert_eq!(account.used().cpu_milli, 600_000);
        let refused = account.take(&f(), size, START + Duration::from_secs(600)).unwrap_err();
        let expected = Exceeded {
            quota: Quota::Cpu,
            limit: 600_000,
            used: 600_000,
            asked: 2_000,
            retry_after: None,
        };
        assert_eq!(refused, expected);
    }

    #[test]
    fn quo_1_600_gb_at_once_then_12_a_second_up_to_1200() {
        let size = Resources { cpu_milli: 1_000, memory_mb: 4_096, disk_mb: 512 };
        let mut account = AccountLedger::new(AccountQuota::function_compute(), START);
        assert_eq!(granted(&mut account, size, START), 150);
        assert_eq!(account.take(&f(), size, START).unwrap_err().quota, Quota::MemoryGrowth);
        for second in 1..=50 {
            let now = START + Duration::from_secs(second);
            assert_eq!(granted(&mut account, size, now), 3, "in second {second}");
        }
        let full = account.take(&f(), size, START + Duration::from_secs(600)).unwrap_err();
        assert_eq!(full.quota, Quota::Memory);
    }

    /// When the named time has passed, no other growth stands in the way.
    #[test]
    fn quo_4_of_two_growths_the_slower_is_named() {
        let mut quota = AccountQuota::function_compute();
        (quota.instances.burst, quota.cpu_milli.burst) = (1, 1_000);
        (quota.instances.per_minute, quota.cpu_milli.per_minute) = (60, 1_000);
        let mut account = AccountLedger::new(quota, START);
        let size = Resources { cpu_milli: 1_000, ..SMALL };
        account.take(&f(), size, START).unwrap();
        let refused = account.take(&f(), size, START).unwrap_err();
        let after = Duration::from_secs(60);
        assert_eq!((refused.quota, refused.retry_after), (Quota::CpuGrowth, Some(after)));
        account.take(&f(), size, START + after).unwrap();
    }

    #[test]
    fn quo_4_a_refusal_says_which_limit_use_and_when() {
        let mut account = AccountLedger::new(AccountQuota::function_compute(), START);
        granted(&mut account, SMALL, START);
        let error = Error::from(account.take(&f(), SMALL, START).unwrap_err());
        assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
        assert_eq!(error.retry(), Retry::After(Duration::from_millis(200)));
        assert_eq!(error.message(), "account quota instances_burst: 1 more over 300 of 300");
    }

    #[test]
    fn quo_4_a_lowered_quota_holds_at_once_and_a_raised_one_too() {
        let mut account = AccountLedger::new(AccountQuota::function_graph(), START);
        (0..10).for_each(|_| assert!(account.take(&f(), SMALL, START).is_ok()));
        let mut quota = AccountQuota::function_graph();
        quota.instances.max = Some(5);
        account.set_quota(quota, START);
        let refused = account.take(&f(), SMALL, START).unwrap_err();
        assert_eq!((refused.quota, refused.limit, refused.used), (Quota::Instances, 5, 10));
        (0..6).for_each(|_| account.give(&f(), SMALL));
        assert_eq!(granted(&mut account, SMALL, START), 1);
        quota.instances.max = Some(7);
        account.set_quota(quota, START);
        assert_eq!(granted(&mut account, SMALL, START), 2);
    }

    proptest! {
        /// I15, QUO-4: never over a total at any interleaving, and what is held is what was taken.
        #[test]
        fn quo_4_holds_at_every_interleaving(
            max in 0u64..12,
            steps in prop::collection::vec((0u8..3, 0u64..12, 0usize..12), 0..200),
        ) {
            let mut quota = AccountQuota::function_compute();
            quota.instances.max = Some(max);
            quota.cpu_milli.max = Some(4_000);
            let mut account = AccountLedger::new(quota, START);
            let mut held: Vec<Resources> = Vec::new();
            for (step, number, pick) in steps {
                match step {
                    0 => {
                        let cpu_milli = 100 * (1 + number as u32);
                        let size = Resources { cpu_milli, ..SMALL };
                        let cpu: u32 = held.iter().map(|size| size.cpu_milli).sum();
                        let limit = quota.instances.max.unwrap_or(u64::MAX);
                        let fits = (held.len() as u64) < limit && cpu + cpu_milli <= 4_000;
                        prop_assert_eq!(account.take(&f(), size, START).is_ok(), fits);
                        if fits { held.push(size); }
                    }
                    1 if !held.is_empty() => account.give(&f(), held.swap_remove(pick % held.len())),
                    1 => {}
                    _ => {
                        quota.instances.max = Some(number);
                        account.set_quota(quota, START);
                    }
                }
                prop_assert_eq!(account.used().instances, held.len() as u64);
                let memory: u64 = held.iter().map(|size| u64::from(size.memory_mb)).sum();
                prop_assert_eq!(account.used().memory_mb, memory);
            }
        }
    }
}
