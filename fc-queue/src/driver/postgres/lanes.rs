//! Lanes by number.

use std::collections::HashMap;

use fc_core::Result;
use fc_core::port::queue::Lane;
use parking_lot::RwLock;

use super::link::Pool;

/// Numbers that are remembered, before all are forgotten.
const KNOWN_MAX: usize = 100_000;

/// The numbers of lanes' names: given once, never changed.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    known: RwLock<HashMap<Lane, i32>>,
}

impl Lanes {
    /// The lane's number; a new lane gets one.
    pub(super) async fn number(&self, pool: &Pool, lane: &Lane) -> Result<i32> {
        if let Some(number) = self.find(pool, lane).await? {
            return Ok(number);
        }
        let name = lane.as_str();
        let give = "INSERT INTO lane AS l (name) VALUES ($1) ON CONFLICT (name) DO UPDATE SET name = \
                    EXCLUDED.name RETURNING lane_id";
        // A lane without tasks is none: to have made one changes nothing, so it is no unknown outcome.
        let number = pool
            .run("lane", false, |session| async move {
                // Of many who push to a new lane at once, the first asked for all.
                if let Some(number) = self.known.read().get(lane) {
                    return Ok(*number);
                }
                let statement = session.statement(give).await?;
                Ok(session.client.query_one(&statement, &[&name]).await?.get(0))
            })
            .await?;
        self.keep(lane, number);
        Ok(number)
    }

    /// The lane's number, if anybody has pushed to it or waited for it.
    pub(super) async fn find(&self, pool: &Pool, lane: &Lane) -> Result<Option<i32>> {
        if let Some(number) = self.known.read().get(lane) {
            return Ok(Some(*number));
        }
        let name = lane.as_str();
        let found: Option<i32> = pool
            .run("lane", false, |session| async move {
                let find = "SELECT lane_id FROM lane WHERE name = $1";
                let statement = session.statement(find).await?;
                let row = session.client.query_opt(&statement, &[&name]).await?;
                Ok(row.map(|row| row.get(0)))
            })
            .await?;
        if let Some(number) = found {
            self.keep(lane, number);
        }
        Ok(found)
    }

    fn keep(&self, lane: &Lane, number: i32) {
        let mut known = self.known.write();
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(lane.clone(), number);
    }
}
