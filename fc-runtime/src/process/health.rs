//! Probes of a running instance (`alibaba-fc.md` 4.10).

use std::sync::Arc;
use std::time::Duration;

use fc_core::{Exit, HealthCheckConfig};
use http::uri::PathAndQuery;
use rustix::process::Signal;

use super::running::Running;

/// Longest answer to a probe that is read, bytes: more says nothing more.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Counts probes in a row.
#[derive(Debug, Default)]
struct Streaks {
    failures: u32,
    successes: u32,
}

impl Streaks {
    /// Whether the instance is to be replaced.
    fn count(&mut self, ok: bool, config: &HealthCheckConfig) -> bool {
        if ok {
            self.successes += 1;
            if self.successes >= config.success_threshold {
                self.failures = 0;
            }
        } else {
            self.successes = 0;
            self.failures += 1;
        }
        self.failures >= config.failure_threshold
    }
}

impl Running {
    /// Probes the program, and ends it when too many probes have failed.
    ///
    /// While as many requests run as may at once, no probe is sent: a program that takes one
    /// request at a time is not ill because it works, and its time-out finds a stuck request.
    pub(super) async fn probe(self: Arc<Self>, config: HealthCheckConfig) {
        let seconds = |count: u32| Duration::from_secs(count.into());
        let mut streaks = Streaks::default();
        let mut next = self.clock.now() + seconds(config.initial_delay_seconds);
        while self.exit().is_none() {
            self.clock.sleep_until(next).await;
            next = self.clock.now() + seconds(config.period_seconds);
            if self.is_full() {
                continue;
            }
            let by = self.clock.now() + seconds(config.timeout_seconds);
            let probe = self.probe_once(&config.http_get_url);
            let ok = self.clock.with_deadline(by, probe).await == Ok(true);
            tracing::trace!(instance = %self.id, ok, "health probe");
            if streaks.count(ok, &config) {
                tracing::info!(instance = %self.id, "health check failed");
                self.end_for(Exit::Unhealthy);
                self.leader.signal_group(Signal::KILL);
                return;
            }
        }
    }

    /// Whether the program answers with success (200 to 399).
    async fn probe_once(self: &Arc<Self>, path: &str) -> bool {
        let Ok(path) = path.parse::<PathAndQuery>() else {
            return false;
        };
        let Ok(connection) = self.connections.take().await else {
            return false;
        };
        let Ok((mut connection, answer)) = connection.send(self.heads.probe(&path)).await else {
            return false;
        };
        let ok = (200..400).contains(&answer.status.as_u16());
        if ok && connection.read(ANSWER_BYTES_MAX).await.is_some() {
            self.connections.keep(connection);
        }
        ok
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_2_thresholds_count_probes_in_a_row() {
        let config = HealthCheckConfig {
            failure_threshold: 3,
            success_threshold: 2,
            ..HealthCheckConfig::default()
        };
        let run = |probes: &str| {
            let mut streaks = Streaks::default();
            probes.chars().position(|probe| streaks.count(probe == '+', &config))
        };
        assert_eq!(run("---"), Some(2));
        assert_eq!(run("--+--"), Some(3), "one success makes up for nothing");
        assert_eq!(run("--++--"), None);
        assert_eq!(run("++++"), None);
    }
}
