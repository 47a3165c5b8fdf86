//! A quiet account beside a noisy one (I33).

use std::time::Duration;

use fc_core::{AccountId, FunctionName, Instant, Isolation, Resources, RuntimeKind};

use crate::core::placement::{Capacity, Cluster, ClusterRules, NodeSpec, Tenancy};
use crate::core::quota::{AccountQuota, PooledQuota};
use crate::core::supply::{Profile, Supply, SupplyRules};
use crate::core::{Pool, PoolRules};
use crate::sim::engine::{Ended, Engine, World};
use crate::sim::report::Waits;
use crate::sim::{ColdStart, Random};

/// A quiet account's requests on nodes that another account shares.
///
/// The quiet one stays well within its quota; the noisy one, if there is one, asks for ten times its
/// own. Nodes hold both quotas.
///
/// ```
/// use fc_sched::sim::Neighbours;
///
/// let (alone, beside) = (Neighbours::new(3), Neighbours::new(3).with_noise());
/// assert!(beside.wait_ms_p99() <= 1.2 * alone.wait_ms_p99());
/// // Without quotas the noisy one takes the nodes, and the quiet one waits.
/// let exposed = beside.without_quotas();
/// assert!(exposed.wait_ms_p99() > 1.2 * alone.wait_ms_p99());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Neighbours {
    seed: u64,
    noise: bool,
    quotas: bool,
}

/// Instances that an account may hold.
const QUOTA: u64 = 20;
const NODES: u32 = 4;
const SIZE: Resources = Resources { cpu_milli: 500, memory_mb: 1024, disk_mb: 512 };
const LASTS: Duration = Duration::from_secs(300);

impl Neighbours {
    /// The quiet account alone.
    pub fn new(seed: u64) -> Self {
        Self { seed, noise: false, quotas: true }
    }

    /// Beside a noisy one.
    #[must_use]
    pub fn with_noise(self) -> Self {
        Self { noise: true, ..self }
    }

    /// Where nobody has a quota.
    #[must_use]
    pub fn without_quotas(self) -> Self {
        Self { quotas: false, ..self }
    }

    /// How long the quiet account's requests waited for their slot, at the 99th percentile.
    pub fn wait_ms_p99(self) -> f64 {
        let mut engine = self.engine();
        let quiet = Self::add_pool(&mut engine, "quiet");
        let noisy: Vec<u32> =
            (0..5).map(|number| Self::add_pool(&mut engine, &format!("noisy{number}"))).collect();
        let mut waits = Waits::default();
        let mut random = Random::from_seed(self.seed);
        let mut noise = Random::from_seed(self.seed ^ 0xc0de);
        let end = Instant::ORIGIN + LASTS;
        let (mut next, mut next_noise) = (Instant::ORIGIN, Instant::ORIGIN);
        while next < end {
            if self.noise && next_noise <= next {
                // Ten times the quota's instances, each request a second long: 200 a second.
                let gap = noise.exponential() / (10.0 * QUOTA as f64);
                engine.run_until(next_noise);
                let pool = noisy[noise.below(5) as usize];
                engine.arrive(pool, Duration::from_secs(1), Ended::Well);
                next_noise = next_noise + Duration::from_secs_f64(gap);
                continue;
            }
            engine.run_until(next);
            engine.watched = Some(quiet);
            let duration = Duration::from_millis(200 + random.below(800));
            engine.arrive(quiet, duration, Ended::Well);
            next = next + Duration::from_secs_f64(random.exponential() / 4.0);
        }
        engine.run_until(end + LASTS);
        std::mem::swap(&mut waits, &mut engine.watched_waits);
        waits.quantile_ms(0.99)
    }

    fn engine(self) -> Engine {
        #[expect(clippy::expect_used, reason = "constants")]
        let mut cluster = Cluster::new(ClusterRules { node_life: None, ..ClusterRules::default() })
            .expect("legal");
        let many = (QUOTA as u32 * 2).div_ceil(NODES);
        for number in 0..NODES {
            let capacity = Capacity::Limited(Resources {
                cpu_milli: many * SIZE.cpu_milli,
                memory_mb: many * SIZE.memory_mb,
                disk_mb: many * SIZE.disk_mb,
            });
            let spec = NodeSpec { capacity, ..crate::sim::run::node(number) };
            let added = cluster.add(spec, Instant::ORIGIN);
            debug_assert!(added.is_ok(), "{added:?}");
        }
        let instances = PooledQuota { max: Some(QUOTA), burst: QUOTA, per_minute: 600 };
        let quota = AccountQuota { instances, ..AccountQuota::function_compute() };
        let rules =
            SupplyRules { quota: self.quotas.then_some(quota), wait_for_quota: false, evict: true };
        let world = World {
            cold_start: ColdStart::Fixed(Duration::from_millis(500)),
            capacity_wait: Duration::from_secs(10),
            freeze_time: Duration::ZERO,
            stop_time: Duration::ZERO,
            start_failures: 0,
            grows: false,
        };
        Engine::new(Supply::new(rules, cluster), world, Random::from_seed(self.seed))
    }

    #[expect(clippy::expect_used, reason = "letters and digits are legal names")]
    fn add_pool(engine: &mut Engine, name: &str) -> u32 {
        let account = name.trim_end_matches(|digit: char| digit.is_ascii_digit());
        let profile = Profile {
            account: AccountId::new(account).expect("a legal id"),
            function: FunctionName::new(name).expect("a legal name"),
            size: SIZE,
            runtime: RuntimeKind::Process,
            isolation: Isolation::None,
            tenancy: Tenancy::Shared,
        };
        let rules = PoolRules {
            concurrency: 1,
            instance_max: u32::MAX,
            waiting_max: 1_000,
            // Short, so that there are cold starts to be delayed.
            idle: Duration::from_secs(1),
            life: Duration::from_secs(36 * 3_600),
            overdue: Duration::from_secs(60),
            freeze: None,
            boost: Duration::ZERO,
        };
        engine.add_pool(Pool::new(rules), profile)
    }
}
