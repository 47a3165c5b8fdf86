//! When a policy is in force.

use fc_core::Timestamp;

/// From its start to just before its end; what is absent does not limit it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Period {
    /// From then on.
    pub start: Option<Timestamp>,
    /// Until just before then.
    pub end: Option<Timestamp>,
}

impl Period {
    /// Always.
    pub const ALWAYS: Self = Self { start: None, end: None };

    /// Whether `wall` lies in it.
    pub fn contains(&self, wall: Timestamp) -> bool {
        self.has_begun(wall) && !self.is_over(wall)
    }

    /// Whether it has begun, and may be over.
    pub fn has_begun(&self, wall: Timestamp) -> bool {
        self.start.is_none_or(|start| start <= wall)
    }

    /// Whether it is over.
    pub fn is_over(&self, wall: Timestamp) -> bool {
        self.end.is_some_and(|end| end <= wall)
    }

    /// When it next begins or ends, later than `wall`.
    pub fn next_change(&self, wall: Timestamp) -> Option<Timestamp> {
        [self.start, self.end].into_iter().flatten().filter(|edge| *edge > wall).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sch_4_a_period_begins_at_its_start_and_ends_before_its_end() {
        let at = Timestamp::from_unix_millis;
        let period = Period { start: Some(at(10)), end: Some(at(20)) };
        for (wall, contains, change) in
            [(9, false, Some(10)), (10, true, Some(20)), (19, true, Some(20)), (20, false, None)]
        {
            assert_eq!(period.contains(at(wall)), contains, "{wall}");
            assert_eq!(period.next_change(at(wall)), change.map(at), "{wall}");
        }
        assert!(Period::ALWAYS.contains(at(0)) && Period::ALWAYS.next_change(at(0)).is_none());
    }
}
