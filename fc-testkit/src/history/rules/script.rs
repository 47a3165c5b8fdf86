//! Short histories for the rules' tests.

use crate::history::{
    Branch, Ending, Event, Invariant, Judge, JudgeConfig, Outcome, Submission, What,
};

/// Writes a history, ms by ms. All is about the task `t` unless said otherwise.
#[derive(Default, Clone)]
pub(super) struct Script {
    pub(super) events: Vec<Event>,
}

impl Script {
    pub(super) fn at(mut self, ms: u64, what: What) -> Self {
        self.events.push(Event::new(ms * 1_000_000, what));
        self
    }

    /// Submitted and acknowledged at once.
    pub(super) fn accepted(self, ms: u64, edit: impl FnOnce(&mut Submission)) -> Self {
        self.submitted(ms, edit).at(ms + 1, What::ack("s"))
    }

    pub(super) fn submitted(self, ms: u64, edit: impl FnOnce(&mut Submission)) -> Self {
        let mut submission = Submission::new("s", "t", "p");
        edit(&mut submission);
        self.at(ms, What::Submit(submission))
    }

    pub(super) fn begin(self, ms: u64, fence: u64) -> Self {
        self.begin_with(ms, fence, "p")
    }

    pub(super) fn begin_with(self, ms: u64, fence: u64, payload: &str) -> Self {
        let (task, instance, payload) = ("t".into(), "i".into(), payload.into());
        self.at(ms, What::AttemptBegin { task, n: 1, instance, fence, payload })
    }

    pub(super) fn end(self, ms: u64, fence: u64, outcome: Outcome) -> Self {
        self.at(ms, What::AttemptEnd { task: "t".into(), fence, outcome })
    }

    pub(super) fn terminal(self, ms: u64, kind: Ending) -> Self {
        self.at(ms, What::Terminal { task: "t".into(), kind, result: Some("r".into()) })
    }

    pub(super) fn dest(self, ms: u64, branch: Branch, ok: bool, body: &str) -> Self {
        let body = Some(body.to_owned());
        self.at(ms, What::Dest { task: "t".into(), branch, ok, body })
    }

    /// How often it breaks an invariant. The part that is shown breaks it too.
    pub(super) fn breaks(&self, invariant: Invariant) -> usize {
        self.breaks_by(invariant, &JudgeConfig::default())
    }

    pub(super) fn breaks_by(&self, invariant: Invariant, config: &JudgeConfig) -> usize {
        let judge = Judge::new(config.clone());
        let found = judge.judge_by(invariant, &self.events);
        for violation in &found {
            assert!(!violation.events.is_empty() && violation.invariant == invariant);
            let again = judge.judge_by(invariant, &violation.events);
            assert!(!again.is_empty(), "not shown by its part: {violation}");
        }
        found.len()
    }
}
