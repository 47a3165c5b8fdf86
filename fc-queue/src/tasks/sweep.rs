//! What is old is removed: records of tasks, and dead letters.

use std::time::Duration;

use fc_core::port::queue::{Lane, Place};
use fc_core::{Result, Timestamp};

use super::keys::{self, Order, TaskKey};
use crate::engine::Shared;

const BATCH: usize = 100;

/// Removes what is old, again and again; never ends.
pub(crate) async fn run(shared: &Shared) {
    loop {
        let clock = &shared.ports.clock;
        clock.sleep_until(clock.now() + shared.config.sweep).await;
        match sweep(shared).await {
            Ok(removed) => tracing::debug!(removed, "old tasks and dead letters are removed"),
            Err(error) => tracing::warn!(%error, "old tasks could not all be removed"),
        }
    }
}

/// Removes what is old now. Gives how many tasks and dead letters.
pub(crate) async fn sweep(shared: &Shared) -> Result<u64> {
    Ok(tasks(shared).await? + dead_letters(shared).await?)
}

/// Goes through the indexes of all functions, each up to its first entry that is too young.
async fn tasks(shared: &Shared) -> Result<u64> {
    let records = &shared.records;
    let now = shared.wall.now();
    let mut after: Option<String> = None;
    let mut removed = 0;
    loop {
        let root = Order::OldestFirst.root();
        let entries = records.store().list(root, after.as_deref(), BATCH).await?;
        if entries.is_empty() {
            return Ok(removed);
        }
        for entry in entries {
            after = Some(entry.key.clone());
            let Some((account, function, accepted, id)) = keys::read_oldest(&entry.key) else {
                tracing::warn!(key = entry.key, "an index has an entry that is none");
                continue;
            };
            if !is_older(accepted, shared.config.history, now) {
                // Behind this function's entries; no id has this character.
                after = Some(format!("{}~", Order::OldestFirst.index(account, function.as_str())));
                break;
            }
            let key = TaskKey { account, function: function.as_str(), id };
            if is_over(shared, key, accepted, now).await? {
                records.remove(key, accepted.as_unix_millis()).await?;
                removed += 1;
            }
        }
    }
}

/// Whether a record has been kept for long enough after its end; or has no end, and can have none any
/// more: its task was never queued.
async fn is_over(
    shared: &Shared,
    key: TaskKey<'_>,
    accepted: Timestamp,
    now: Timestamp,
) -> Result<bool> {
    let history = shared.config.history;
    let Some((stored, _)) = shared.records.read(key).await? else {
        return Ok(true);
    };
    Ok(match stored.task.end_time {
        Some(ended) => is_older(Timestamp::from_unix_millis(ended), history, now),
        None => is_older(accepted, history + shared.config.retry.age_max, now),
    })
}

async fn dead_letters(shared: &Shared) -> Result<u64> {
    let queue = &shared.ports.queue;
    let now = shared.wall.now();
    let mut removed = 0;
    let mut after: Option<Lane> = None;
    loop {
        let lanes = queue.lanes(after.as_ref(), BATCH).await?;
        for lane in &lanes {
            loop {
                let letters = queue.list(lane, Place::Buried, None, BATCH).await?;
                let age = shared.config.dead_letter_age;
                let old = letters.iter().filter(|letter| is_older(letter.pushed_at, age, now));
                let old: Vec<_> = old.map(|letter| letter.id.clone()).collect();
                for id in &old {
                    queue.cancel(shared.context(), lane, id).await?;
                }
                removed += old.len() as u64;
                if old.len() < BATCH {
                    break;
                }
            }
        }
        match lanes.last() {
            Some(last) if lanes.len() == BATCH => after = Some(last.clone()),
            _ => return Ok(removed),
        }
    }
}

fn is_older(at: Timestamp, than: Duration, now: Timestamp) -> bool {
    let age_ms = now.as_unix_millis().saturating_sub(at.as_unix_millis());
    u128::from(age_ms) > than.as_millis()
}
