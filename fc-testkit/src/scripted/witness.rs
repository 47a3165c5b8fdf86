//! What the runtime saw.

use std::collections::{BTreeMap, BTreeSet};

use fc_core::{Hook, InstanceId, InstanceSpec, Invocation, Target};

/// What the runtime saw.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Witness {
    /// Calls of `prepare`.
    pub prepares: u64,
    /// Calls of `start`, whatever became of them.
    pub starts: u64,
    /// Starts that failed.
    pub failed_starts: u64,
    /// Instances that were stopped; a second stop of one does not count.
    pub stops: u64,
    /// Requests that reached an instance.
    pub requests: u64,
    /// Requests at once in all instances, at most.
    pub peak_requests: u32,
    /// Instances at once, at most.
    pub peak_live: usize,
    /// Every instance that ever started.
    pub instances: BTreeMap<InstanceId, InstanceWitness>,
    pub(super) running: u32,
    pub(super) live: usize,
}

impl Witness {
    /// Instances that started and were not stopped, crashed ones included: they hold resources.
    pub fn live(&self) -> usize {
        self.live
    }

    /// Requests in instances now.
    pub fn running(&self) -> u32 {
        self.running
    }

    /// Requests at once in one instance, at most.
    pub fn peak_concurrency(&self) -> u32 {
        self.instances.values().map(|each| each.peak_concurrency).max().unwrap_or(0)
    }
}

/// What one instance saw.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct InstanceWitness {
    /// Uids of the versions for which it was started, or asked: more than one breaks SCH-5.
    pub versions: BTreeSet<u64>,
    /// Requests that it was given.
    pub requests: u64,
    /// Requests at once, at most. A request ends with its answer's body.
    pub peak_concurrency: u32,
    /// Requests that came after its end or while it was suspended.
    pub misdirected: u64,
    /// What happened to it, in order. Of the requests only the first is here.
    pub events: Vec<Event>,
    pub(super) running: u32,
    pub(super) suspended: bool,
    pub(super) stopped: bool,
}

impl InstanceWitness {
    /// Requests in it now.
    pub fn running(&self) -> u32 {
        self.running
    }

    /// Whether it was stopped.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// The hooks that were called, in order.
    pub fn hooks(&self) -> Vec<Hook> {
        let hook = |event: &Event| match event {
            Event::Hook(hook) => Some(*hook),
            _ => None,
        };
        self.events.iter().filter_map(hook).collect()
    }
}

/// What can happen to an instance.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Event {
    /// It started.
    Started,
    /// This hook was called.
    Hook(Hook),
    /// It was given its first request.
    FirstRequest,
    /// Its CPU was taken away.
    Suspended,
    /// It got its CPU back.
    Resumed,
    /// It has no more CPU than its version from now on.
    BoostEnded,
    /// It died by itself.
    Crashed,
    /// It was stopped.
    Stopped,
}

/// Keeps the witness.
#[derive(Default)]
pub(super) struct Ledger {
    pub(super) witness: Witness,
}

impl Ledger {
    pub(super) fn started(&mut self, spec: &InstanceSpec) {
        let witness = &mut self.witness;
        witness.live += 1;
        witness.peak_live = witness.peak_live.max(witness.live);
        let instance = witness.instances.entry(spec.id).or_default();
        instance.versions.insert(spec.version.uid());
        instance.events.push(Event::Started);
    }

    pub(super) fn happened(&mut self, id: InstanceId, event: Event) {
        let instance = self.witness.instances.entry(id).or_default();
        match event {
            Event::Suspended => instance.suspended = true,
            Event::Resumed => instance.suspended = false,
            Event::Stopped if instance.stopped => return,
            Event::Stopped => {
                instance.stopped = true;
                self.witness.live -= 1;
                self.witness.stops += 1;
            }
            _ => {}
        }
        instance.events.push(event);
    }

    /// A request came. The instance's serial number of it.
    pub(super) fn entered(&mut self, id: InstanceId, invocation: &Invocation, dead: bool) -> u64 {
        let witness = &mut self.witness;
        witness.requests += 1;
        witness.running += 1;
        witness.peak_requests = witness.peak_requests.max(witness.running);
        let instance = witness.instances.entry(id).or_default();
        instance.requests += 1;
        instance.running += 1;
        instance.peak_concurrency = instance.peak_concurrency.max(instance.running);
        if let Target::Resolved { version, .. } = &invocation.target {
            instance.versions.insert(version.uid());
        }
        if instance.requests == 1 {
            instance.events.push(Event::FirstRequest);
        }
        if dead || instance.suspended {
            instance.misdirected += 1;
        }
        instance.requests
    }

    pub(super) fn left(&mut self, id: InstanceId) {
        self.witness.running -= 1;
        self.witness.instances.entry(id).or_default().running -= 1;
    }
}
