//! I12: a chain of destinations ends at its depth.

use std::collections::HashMap;

use super::super::judge::{Invariant, JudgeConfig, Violation, violation};
use super::super::timeline::Timeline;

/// Depth is counted along the parents, whatever the platform says: what has none has depth 0.
pub(super) fn check(timeline: &Timeline<'_>, config: &JudgeConfig) -> Vec<Violation> {
    let parent = |task: &str| {
        let asked = &timeline.tasks.get(task)?.asked;
        asked.iter().find_map(|asked| asked.submission.parent.as_deref())
    };
    let mut depths: HashMap<&str, u32> = HashMap::new();
    let mut found = Vec::new();
    for (name, task) in &timeline.tasks {
        let mut way = vec![*name];
        let mut known = None;
        while let Some(up) = way.last().and_then(|last| parent(last)) {
            known = depths.get(up).copied();
            // A task that is its own ancestor has no depth; nor is one deeper than all tasks.
            if known.is_some() || way.len() > timeline.tasks.len() {
                break;
            }
            way.push(up);
        }
        let first = known.map_or(0, |known| known + 1);
        for (depth, name) in (first..).zip(way.iter().rev()) {
            depths.entry(name).or_insert(depth);
        }
        let depth = depths[name];
        let Some(begin) = task.attempts.first().filter(|_| depth > config.depth_max) else {
            continue;
        };
        // Only the first that is too deep: what is behind it follows from it.
        if depth == config.depth_max + 1 {
            let what = format!(
                "task '{name}' was run at depth {depth}, the limit is {}",
                config.depth_max
            );
            let chain = std::iter::successors(Some(*name), |task| parent(task))
                .take(depth as usize + 1)
                .filter_map(|task| timeline.tasks.get(task)?.asked.first())
                .map(|asked| asked.event);
            found.push(violation(Invariant::I12, what, chain.chain([begin.event])));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::script::Script;
    use crate::history::{Invariant, Submission, What};

    fn chain(length: u64) -> Script {
        (0..=length).fold(Script::default(), |script, depth| {
            let mut submission = Submission::new(format!("s{depth}"), format!("t{depth}"), "p");
            submission.parent = depth.checked_sub(1).map(|up| format!("t{up}"));
            let (task, instance, payload) = (format!("t{depth}"), "i".into(), "p".into());
            let begin = What::AttemptBegin { task, n: 1, instance, fence: 1, payload };
            script.at(depth * 10, What::Submit(submission)).at(depth * 10 + 5, begin)
        })
    }

    #[test]
    fn i12_a_chain_ends_at_its_depth() {
        assert_eq!(chain(16).breaks(Invariant::I12), 0);
        assert_eq!(chain(17).breaks(Invariant::I12), 1);
        assert_eq!(chain(40).breaks(Invariant::I12), 1);
        let mut cut = chain(17);
        // Submitted, and not run.
        cut.events.pop();
        assert_eq!(cut.breaks(Invariant::I12), 0);
    }

    #[test]
    fn i12_a_circle_comes_to_an_end() {
        let mut script = chain(3);
        let What::Submit(first) = &mut script.events[0].what else { unreachable!() };
        first.parent = Some("t3".into());
        script.breaks(Invariant::I12);
    }
}
